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
const WRITTEN: &str = "a comment of several lines in a manifest that is written";
const RACE: &str = "another run has to change something between two steps of this one";
const MACHINE: &str = "the machine itself has to fail";
const MARKER: &str = "the name of such a key has a random marker, so no scenario can name the key";
const RIGHTS: &str = "it takes a folder that the user of the tests may not write";
const SIGNAL: &str = "it takes a signal in the midst of a run";
const BREAKS: &str = "a sink has to break between the plan and the run";
const BUSY: &str = "another process has to be at the same files at the same time";
const AWAY: &str = "the connection has to go between the plan and the run";
const ANSWER: &str = "the emulator answers as SendGrid does, and this takes another answer";
const FIRST: &str = "the manifest or the command line is refused first";
const GONE: &str = "the key has to be gone, and scenarios name live keys alone";
const MOUNT: &str = "it takes a file system, or a mark on a file, that no scenario can make";
const NO_TEXT: &str = "scenarios write text alone";
const SIZE: &str = "the scenarios keep no files of that size or number";
const SLOW: &str = "it takes half a minute or more";
const SERVICE: &str = "it takes a service, which no scenario reaches";
const SOPS: &str = "it takes the program `sops` and a file of it; the contract suite has both";
const INVARIANT: &str = "nothing brings it about: it stands for what cannot be";

/// Messages that no scenario can bring about.
pub const NOT_SHOWN: [Exempt; 147] = [
    exempt("what is written to {location} ends by itself: {when}", SERVICE),
    exempt(
        "the key stays valid, and what reads it there stops working; take that setting away at the service, or rotate before it strikes",
        SERVICE,
    ),
    exempt("the same for every key that uses the sink: it is", SERVICE),
    exempt("it cannot be deleted: {why}; delete it by hand", RIGHTS),
    exempt("other writes to the same document took too long", SERVICE),
    exempt("no result after {} s", SERVICE),
    exempt(
        "sops goes by the end of a file's name, and gridkey writes into its `.yaml`, `.yml`, `.json` and `.env` files; name one of these",
        SOPS,
    ),
    exempt(
        "sops did not encrypt it, and a secret in it would be plain; run `sops encrypt --in-place` on it first, with a `.sops.yaml` or `--age RECIPIENT` that says who is to read it",
        SOPS,
    ),
    exempt("`{pointer}` holds an object, a list or a plain number; take it out first", SOPS),
    exempt("`{pointer}` has a `[`, and sops cannot be told such a name; name the place otherwise", SOPS),
    exempt("`{pointer}` leads through an object, and a dotenv file has variables alone: write `/NAME`", SOPS),
    exempt("an `age` sink, whose file holds the secret alone", SOPS),
    exempt("a `command` sink that runs `{program}`", SOPS),
    exempt(
        "what would be done could not be shown, so nothing was changed",
        "it takes a standard output that takes nothing more",
    ),
    exempt("interrupted before anything was changed", SIGNAL),
    exempt("interrupted before {} was run", SIGNAL),
    exempt("the state of account `{account}` is locked by {}, process {}, since {}, for `{}`", RACE),
    exempt(
        "wait for it with `--lock-timeout 5m`; if that process is dead, `gridkey state unlock {account}`",
        RACE,
    ),
    exempt("the lock was not lifted", RACE),
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
    exempt("run again: it goes on from there", SIGNAL),
    exempt("this run stops here; run again once the other has ended", RACE),
    exempt("make the store writable and run again: it puts right what was begun", MACHINE),
    exempt("`{from}` stays where it is, as `{address}` still has a key", RACE),
    exempt("move or remove that one first", RACE),
    exempt("the lock was lost", RACE),
    exempt("the lock of account `{}` was lost", RACE),
    exempt("run again: it puts right what was begun", RACE),
    exempt("SendGrid knows no such key, and did a while ago", ANSWER),
    exempt("the state of account `{0}` was changed by another run", RACE),
    exempt("the state of account `{account}` could not be written: {message}", MACHINE),
    exempt("key {id} was named, and could not be read back: {error}", ANSWER),
    exempt("`{address}` has Full Access, which is not updated by scopes", INVARIANT),
    exempt("the key was not asked for", INVARIANT),
    exempt("interrupted before the key was asked for", SIGNAL),
    exempt("another key took the last slot", RACE),
    exempt("interrupted while SendGrid's answer was being watched for", SIGNAL),
    exempt("the next run finds out what became of the key", SIGNAL),
    exempt("state no longer knows the creation {marker}", RACE),
    exempt("make the sink readable, and run again", BREAKS),
    exempt("{source} no longer holds the key {id}", BREAKS),
    exempt("{location} went back to the older key {id}, so it was not revoked", BREAKS),
    exempt("the next run delivers the current key there", BREAKS),
    exempt("{location} cannot be read ({reason}), so {id} was not revoked", BREAKS),
    exempt("the manifest does not have this account, so it is not talked to", INVARIANT),
    exempt("the request was not sent: {0}", AWAY),
    exempt("nothing happened; run again once this machine reaches SendGrid", AWAY),
    exempt("the state of account `{account}` is locked by {}", RACE),
    exempt("the state was changed by someone else", RACE),
    exempt("the state of account `{account}` could not be taken over", RACE),
    exempt(
        "`{}` is a file of another name, too, and a lock has one; take it away",
        "no scenario can give a file a second name",
    ),
    exempt("a run began it and broke off; an apply decides what becomes of it", MARKER),
    exempt("it is gone from the account; `gridkey plan` says what becomes of its address", GONE),
    exempt("it is gone from the account, so there is nothing to revoke", GONE),
    exempt("this plan was made with `plan_api_key`, whose scopes are not the managing key's", INVARIANT),
    exempt("{status}, in an answer that is not SendGrid's; is there a proxy in between?", ANSWER),
    exempt("is not a list of keys", ANSWER),
    exempt("is about another key", ANSWER),
    exempt("holds no key", ANSWER),
    exempt("is not a list of scopes", ANSWER),
    exempt("is not a list of subusers", ANSWER),
    exempt("to a creation holds no key", ANSWER),
    exempt("holds a key that does not fit its id", ANSWER),
    exempt("does not show the changed key", ANSWER),
    exempt("the answer is too large", ANSWER),
    exempt("TLS could not be set up: {error}", MACHINE),
    exempt("interrupted, and no answer came in time", SIGNAL),
    exempt("the managing key holds characters that no key has", FIRST),
    exempt("interrupted while waiting for SendGrid's rate limit", SIGNAL),
    exempt("no answer in time", SLOW),
    exempt(
        "SendGrid could not be reached: {deepest}",
        "the words of the system behind it differ from one to another",
    ),
    exempt("a user name or account id is made of visible ASCII characters", FIRST),
    exempt("the command sink has no `read`", INVARIANT),
    exempt("`read` did not give the secret back in time", SLOW),
    exempt(
        "`{program}` ended well without reading the secret",
        "it depends on which of two processes is faster",
    ),
    exempt("`{program}` could not be started: {error}", BREAKS),
    exempt("`{program}` was lost sight of: {error}", MACHINE),
    exempt("`{program}` did not end within {limit} seconds and was killed", SLOW),
    exempt("`{program}` was killed, as the run was interrupted", SIGNAL),
    exempt("the command is empty; name a program", FIRST),
    exempt("there are more than {MAX_FILES} files; name a folder further down", SIZE),
    exempt("it has {size} bytes, and files of more than {MAX_BYTES} are not looked at", SIZE),
    exempt("its name is not text", NO_TEXT),
    exempt("{}; what it held before could not be put back: {error}", MACHINE),
    exempt("{} keeps `{}` locked, and edits of its folder take a moment only; end it, and run again", BUSY),
    exempt("another process keeps it locked; end it, and run again", BUSY),
    exempt("it has {} MiB, and a file for a secret at most {}; name another file", SIZE),
    exempt("it is not UTF-8 text, from byte {at} on; save it as UTF-8", NO_TEXT),
    exempt("`{}` was written, and not confirmed: {error}", MACHINE),
    exempt("make the sink readable; the next run looks again", BREAKS),
    exempt("; let this user read and write it and its folder", RIGHTS),
    exempt("; name a file that is not on a read-only file system", MOUNT),
    exempt("; free some space and run again", MACHINE),
    exempt("temporary files are cleared away by another program as soon as they are made", BUSY),
    exempt("another program keeps changing it; run again once that is done", BUSY),
    exempt(
        "it belongs to user {owner} and group {group}, and a new one cannot be given to them: {error}",
        RIGHTS,
    ),
    exempt("it has mode {mode}, and only its owner, user {}, can change that", RIGHTS),
    exempt("{error}; nor can it be replaced: {why}", RIGHTS),
    exempt("in its folder only the owner of a file can replace it", RIGHTS),
    exempt("it is a mount point", MOUNT),
    exempt("it is marked as one that does not change (`lsattr` shows how)", MOUNT),
    exempt("the secret has characters that dotenv files do not agree on", INVARIANT),
    exempt(
        "`{variable}` cannot be changed without changing other lines; look for a quote that is not closed",
        INVARIANT,
    ),
    exempt(
        "`{variable}` is not the name of a variable: it has letters, digits and `_`, and starts with no digit",
        FIRST,
    ),
    exempt("`{pointer}` cannot be changed without changing something else; put it there by hand", INVARIANT),
    exempt("`{pointer}` {why}; write it as a JSON Pointer, such as `/sendgrid/api_key`", FIRST),
    exempt("names no value inside the document", FIRST),
    exempt("has a `~` that is neither `~0` nor `~1`", FIRST),
    exempt(
        "`{pointer}` cannot be changed without changing something else; put a line for it there by hand",
        INVARIANT,
    ),
    exempt("its positions are not known to the parser", INVARIANT),
    exempt("it is not YAML: a key has no value", INVARIANT),
    exempt("it is not YAML that gridkey can follow", INVARIANT),
    exempt("it is not YAML: it ends too early", INVARIANT),
    exempt("a `{}` sink of this kind cannot be read", INVARIANT),
    exempt("interrupted while another process edits files of its folder", SIGNAL),
    exempt(
        "a document of account `{}` of project `{}` does not belong to account `{account}` of project `{}`",
        INVARIANT,
    ),
    exempt(
        "{holder}; a lock in a local folder cannot be lifted from a live process: end it, and the lock goes with it",
        BUSY,
    ),
    exempt(
        "the state of account `{account}` is locked by {who}: process {process}, `{what}`, since {since}",
        BUSY,
    ),
    exempt("a process that has not said who it is", BUSY),
    exempt("; let this user write there, or name another folder in `state: { local: { path: … } }`", RIGHTS),
];

/// Sentences that are not messages about something wrong.
pub const NO_MESSAGES: [Exempt; 32] = [
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
    exempt("unable to find", "words of SendGrid that are looked for"),
    exempt("look at a key", NOTE),
    exempt("/v3/subusers?limit={PAGE}&offset={offset}&include_region=true", "a path, and not words"),
    exempt("read -r _ || kill -s KILL -- \"-$1\"", "a script, and not words"),
    exempt(
        "Applying this adopts them: no key is made, changed or revoked.\n#\n#   gridkey plan        shows the adoption; `→` is all there should be\n#   gridkey apply       carries it out, in state alone\n#   gridkey validate    says, once that is done, that the `import` entries can go\n#\n# What SendGrid cannot tell is for you to add: who owns a key (`owner`), what uses it (`description`), and\n# where its secret is (`sinks`), if that is not known yet. Without a sink a key cannot be rotated.\n",
        WRITTEN,
    ),
    exempt("# Where secrets were found. Each key says where in these its own is.\nsinks:\n", WRITTEN),
    exempt("# These adopt the keys, and do nothing once that is done.\nimport:\n", WRITTEN),
    exempt("\n# Scopes that several keys share.\nscope_sets:\n", WRITTEN),
];
