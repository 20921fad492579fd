//! What the whole-project tests share: worlds, faults, checks.
