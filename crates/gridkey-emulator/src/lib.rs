//! A local SendGrid that behaves as the real one is reported to. It depends on no other crate of gridkey, so that a misread API cannot test as right.
