//! Where secrets are delivered: one adapter per file, heavy ones behind features.
