//! Where state lives: one adapter per file, heavy ones behind features.
