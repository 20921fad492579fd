//! A typed client of SendGrid's API key endpoints, usable without the rest of gridkey.
