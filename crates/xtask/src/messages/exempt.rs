//! Sentences that the table need not show, each with the reason.

/// A sentence that nothing shows.
pub struct Exempt {
    /// As it stands in the source.
    pub literal: &'static str,
    pub reason: &'static str,
}

const fn exempt(literal: &'static str, reason: &'static str) -> Exempt {
    Exempt { literal, reason }
}

const QUESTION: &str = "a question, which is asked on a terminal alone";
const NOTE: &str = "a part of a report or of a note, and not an error";
const RACE: &str = "another run has to change something between two steps of this one";
const MACHINE: &str = "the machine itself has to fail";
const MARKER: &str = "the name of such a key has a random marker, so no scenario can name the key";
const RIGHTS: &str = "it takes a folder that the user of the tests may not write";
const INVARIANT: &str = "nothing brings it about: it stands for what cannot be";

/// Messages that no scenario can bring about.
pub const NOT_SHOWN: [Exempt; 35] = [
    exempt(
        "what would be done could not be shown, so nothing was changed",
        "it takes a standard output that takes nothing more",
    ),
    exempt("interrupted before anything was changed", "it takes a signal in the midst of a run"),
    exempt("the state of account `{account}` is locked by {}, process {}, since {}, for `{}`", RACE),
    exempt(
        "wait for it with `--lock-timeout 5m`; if that process is dead, `gridkey state unlock {account}`",
        RACE,
    ),
    exempt("the lock was not lifted", RACE),
    exempt(
        "put that right and run again; nothing was changed",
        "a sink has to break between the plan and the run",
    ),
    exempt("it has {size} bytes, and no plan has that many", "it takes a file of 256 MiB"),
    exempt("standard input has more than 1 MiB", "the scenarios keep no text of that size"),
    exempt(
        "`gridkey whois --scan -` looks for keys in a text of any size",
        "the scenarios keep no text of that size",
    ),
    exempt("the emulator could not be started", MACHINE),
    exempt("standard input cannot be read", MACHINE),
    exempt("the page cannot be made", MACHINE),
    exempt("SendGrid cannot be asked", MACHINE),
    exempt("the runtime could not be started: {error}", MACHINE),
    exempt("standard output could not be written: {error}", MACHINE),
    exempt("the state could not be written", MACHINE),
    exempt("account `{account}` cannot be reached", INVARIANT),
    exempt("an earlier run of gridkey began the key {id} in account `{account}` (`{marker}`)", MARKER),
    exempt("`gridkey apply` decides what becomes of it", MARKER),
    exempt("account `{account}` has no state", RACE),
    exempt("the state was changed by another run just now", RACE),
    exempt("nothing was changed; look at it again, and run again", RACE),
    exempt(
        "the environment variable `{name}` is not text",
        "no scenario can write a variable that is not text",
    ),
    exempt("the command for the credential is empty", INVARIANT),
    exempt("`{program}` did not end within {} s", "it takes 30 seconds"),
    exempt("the emulator has no account `{parent}`", INVARIANT),
    exempt("{what} cannot be used: {error}", INVARIANT),
    exempt("it starts with a program", INVARIANT),
    exempt("this cannot be", INVARIANT),
    exempt("it was not looked at", INVARIANT),
    exempt("a set of scopes holds at least one scope", INVARIANT),
    exempt("values, levels or anchors", "the corpus keeps no file of that many values"),
    exempt("the file of {location} is written where it is, as it cannot be replaced: {why}", RIGHTS),
    exempt(
        "a program that reads it in that moment may see a part of it, and so may all after a crash; mount its folder and \
         not the file, let this user write the folder, or run as the file's owner, and it is replaced whole",
        RIGHTS,
    ),
    exempt("{location} cannot be given a new secret: {why}", RIGHTS),
];

/// Sentences that are not messages about something wrong.
pub const NO_MESSAGES: [Exempt; 25] = [
    exempt("as a value, use", "words of the argument parser, which are left out"),
    exempt(
        "No `--env` was given, so these are the keys of every environment. Revoke them all? This cannot be undone.",
        QUESTION,
    ),
    exempt("Apply these changes?", QUESTION),
    exempt("Replace these keys?", QUESTION),
    exempt("Carry this out?", QUESTION),
    exempt("Adopt these keys?", QUESTION),
    exempt("Revoke these keys? This cannot be undone.", QUESTION),
    exempt("Revoke key {id} \"{}\" of account {account}? Whatever uses it fails from then on.", QUESTION),
    exempt("Make `{from}` of account `{account}` known as `{to}`?", QUESTION),
    exempt("Let go of {}?", QUESTION),
    exempt("GitHub Actions run", NOTE),
    exempt("{} once the edit of its `ttl` is applied", NOTE),
    exempt("never, once the edit of its `ttl` is applied", NOTE),
    exempt("which is not live in the account", NOTE),
    exempt("named \"{}\", and no manifest can name that place", NOTE),
    exempt("named \"{}\", and a manifest can name {named} of these places", NOTE),
    exempt("SendGrid shows the keys of the parent account for it", NOTE),
    exempt("SendGrid puts it on keys by itself: gridkey never asks for it and never compares it.\n", NOTE),
    exempt("Only a key with `access: billing` can hold it, with no others beside.\n", NOTE),
    exempt("gridkey state move", NOTE),
    exempt("sinks that this build cannot deliver to: {}\n", NOTE),
    exempt("{} in {}, {live} of them live", NOTE),
    exempt("SendGrid's rate limit ({}, {behalf})", NOTE),
    exempt("another try to {} ({behalf})", NOTE),
    exempt("name `{name}` in account of `{to}`", NOTE),
];
