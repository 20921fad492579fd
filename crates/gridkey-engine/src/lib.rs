//! The part of gridkey that acts: ports, refresh, apply and events, without knowing any service.
