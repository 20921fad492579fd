//! The claims of the contract: twelve basic ones, and fifteen that services taught.

/// One claim; its documentation is what the table of the reference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    Empty,
    Put,
    OwnId,
    ReadBack,
    ForeignValue,
    Conflict,
    Remove,
    Unreachable,
    Unauthorised,
    Slow,
    Cut,
    Neighbours,
    NowhereIsNotEmpty,
    Tombstone,
    RepeatAfterLostAnswer,
    OlderKept,
    StaleRead,
    BadName,
    TwoSpellings,
    Throttled,
    CredentialEnds,
    CheckWritesNothing,
    MetadataStays,
    ConflictGrade,
    NoSecretInUri,
    TwoKeysOneContainer,
    DiesByItself,
}

impl Claim {
    /// Each with its name and what it says.
    pub const ALL: [(Self, &str, &str); 27] = [
        (Self::Empty, "empty", "a location that was never used holds nothing"),
        (
            Self::Put,
            "put",
            "a put arrives, as the service's own clients see it, and a second one of the same secret changes nothing",
        ),
        (
            Self::OwnId,
            "own id",
            "after a put, the location is seen to hold that very key, or the kind says that nothing is ever seen there",
        ),
        (
            Self::ReadBack,
            "read back",
            "the secret is read back as it was written, or the kind says that it cannot be",
        ),
        (
            Self::ForeignValue,
            "foreign value",
            "what another program wrote is seen as such where anything is, and is not overwritten unexpectedly",
        ),
        (
            Self::Conflict,
            "conflict",
            "a put that expects another key than the one that is there is refused, and the value stays",
        ),
        (
            Self::Remove,
            "remove",
            "a removed value is gone, and to remove it again changes nothing; or the kind says that it cannot",
        ),
        (
            Self::Unreachable,
            "unreachable",
            "a server that does not answer is an error that says so, and surely wrote nothing",
        ),
        (
            Self::Unauthorised,
            "unauthorised",
            "a credential that is unknown, or may not write, is an error that names what is missing",
        ),
        (
            Self::Slow,
            "slow",
            "an answer that takes too long ends within the deadline, and the outcome is unclear",
        ),
        (
            Self::Cut,
            "cut",
            "a connection that is cut while the answer is under way leaves the outcome unclear, and another put clears it up",
        ),
        (Self::Neighbours, "neighbours", "other fields of the document stay, byte for byte"),
        (
            Self::NowhereIsNotEmpty,
            "nowhere is not empty",
            "a container that is not there is an error that names it, and never an empty location",
        ),
        (
            Self::Tombstone,
            "tombstone",
            "a deleted location that the service remembers takes the next put, or is refused with the remedy",
        ),
        (
            Self::RepeatAfterLostAnswer,
            "repeat after a lost answer",
            "the same put again leaves one current value, and one more version at most",
        ),
        (
            Self::OlderKept,
            "older kept",
            "the value before can be had in the service's own way while its overlap lasts",
        ),
        (Self::StaleRead, "stale read", "a read that trails by the declared lag never denies a put"),
        (Self::BadName, "bad name", "names that the service does not take are told without asking it"),
        (Self::TwoSpellings, "two spellings", "two spellings of one place are one location"),
        (
            Self::Throttled,
            "throttled",
            "a service that asks for patience is waited for, and not called forbidden",
        ),
        (Self::CredentialEnds, "credential ends", "a login that ends between two calls is made anew, once"),
        (
            Self::CheckWritesNothing,
            "check writes nothing",
            "a check leaves no trace, and never calls proven what may not be written",
        ),
        (Self::MetadataStays, "metadata stays", "what people said of the secret survives ten puts"),
        (
            Self::ConflictGrade,
            "conflict grade",
            "a foreign write between look and put is refused, or told right after",
        ),
        (Self::NoSecretInUri, "no secret in URI", "no request line, header or error holds the secret"),
        (
            Self::TwoKeysOneContainer,
            "two keys, one container",
            "two keys that go to two fields of one document at once both arrive",
        ),
        (Self::DiesByItself, "dies by itself", "a value that the service will end by itself is told"),
    ];
}
