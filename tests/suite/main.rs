//! The tests of gridkey as a whole: crashes, properties, scenarios.

mod crash;
