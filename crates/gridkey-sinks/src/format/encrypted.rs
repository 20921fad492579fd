//! Files that a tool encrypted: a plain secret in one is a secret in a file that is committed because it is encrypted, and most of
//! these tools cannot open the file any more once somebody else changed it.

use zeroize::Zeroizing;

use super::FormatError;

/// What tells a file of each tool, without blanks and quotes, and which sink gets a value into one. Any of the words, anywhere in the
/// text, is enough: a file that is encrypted in part is one all the same.
const TOOLS: [(&str, &[&str], Sink); 9] = [
    ("sops", &["ENC[AES256_GCM,"], Sink::Own("the `sops` sink for this one")),
    ("Ansible Vault", &["$ANSIBLE_VAULT;"], Sink::Command("ansible-vault encrypt_string")),
    (
        "age",
        &["-----BEGINAGEENCRYPTEDFILE-----", "age-encryption.org/v1\n"],
        Sink::Own("an `age` sink, whose file holds the secret alone"),
    ),
    ("OpenPGP", &["-----BEGINPGPMESSAGE-----"], Sink::Command("gpg")),
    ("dotenvx", &["DOTENV_PUBLIC_KEY", "DOTENV_VAULT", "=encrypted:"], Sink::Command("dotenvx set")),
    ("Sealed Secrets", &["kind:SealedSecret"], Sink::Command("kubeseal --raw")),
    ("hiera-eyaml", &["ENC[PKCS7,", "ENC[GPG,", "ENC[KMS,"], Sink::Command("eyaml encrypt")),
    ("EJSON", &["_public_key:"], Sink::Command("ejson encrypt")),
    // What every salted file of it begins with, in base64.
    ("OpenSSL", &["U2FsdGVkX1"], Sink::Command("openssl enc")),
];

/// What can write into such a file.
enum Sink {
    /// A sink of gridkey's own, in words.
    Own(&'static str),
    /// A program that has to be run.
    Command(&'static str),
}

/// # Errors
/// Where a tool encrypted the text, or a part of it.
pub(crate) fn refuse(text: &str) -> Result<(), FormatError> {
    let mut bare = Zeroizing::new(String::with_capacity(text.len()));
    bare.extend(text.chars().filter(|c| !matches!(c, ' ' | '\t' | '"' | '\'')));
    let found = TOOLS.iter().find(|(_, words, _)| words.iter().any(|word| bare.contains(word)));
    let Some((tool, _, with)) = found else { return Ok(()) };
    let sink = match with {
        Sink::Own(sink) => (*sink).to_string(),
        Sink::Command(program) => format!("a `command` sink that runs `{program}`"),
    };
    Err(FormatError::new(format!(
        "it is encrypted with {tool}, and a plain secret is not written into it; name another file, or use {sink}"
    )))
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;

    #[test]
    fn nothing_is_read_from_or_written_into_a_file_that_is_encrypted() {
        for text in [
            "$ANSIBLE_VAULT;1.1;AES256\n66386439653236336465\n",
            "a: 1\npassword: !vault |\n  $ANSIBLE_VAULT;1.2;AES256;dev\n  6638\n",
            "key: ENC[AES256_GCM,data:Zm9v,iv:AA==,tag:AA==,type:str]\nsops:\n  mac: ENC[AES256_GCM,data:AA==]\n",
            "{\"db\": \"ENC[AES256_GCM,data:Zm9v]\", \"sops\": {\"version\": \"3.9.0\"}}",
            "DB=ENC[AES256_GCM,data:Zm9v]\nsops_version=3.9.0\n",
            "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n",
            "age-encryption.org/v1\n-> X25519 abc\n",
            "-----BEGIN PGP MESSAGE-----\n\nhQEM\n",
            "DOTENV_PUBLIC_KEY_PRODUCTION=\"02ab\"\nHELLO=\"encrypted:BE9\"\n",
            "DOTENV_VAULT_PRODUCTION=\"abc\"\n",
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:\n    a: AgB\n",
            "password: ENC[PKCS7,MIIB]\n",
            "{\"_public_key\": \"63cc\", \"db\": \"EJ[1:abc]\"}",
            "{\"_public_key\" : \"63cc\"}",
            "_public_key: 63cc\ndb: EJ[1:abc]\n",
            "password: ENC[KMS,AQIC]\n",
            "U2FsdGVkX1+vupppZksvRf5pq5g5XjFRIipRkwB0K1Y=\n",
            "HELLO=\"encrypted:BE9\"\n",
            "HELLO = 'encrypted:BE9'\n",
            "kind:  \"SealedSecret\"\n",
            "{ 'kind' : SealedSecret }\n",
            "{\"kind\" :\t\"SealedSecret\"}",
        ] {
            for entry in
                [Entry::Variable("KEY".into()), Entry::Json("/key".into()), Entry::Yaml("/key".into())]
            {
                for result in [
                    entry.get(text).map(|_| ()),
                    entry.set(text, "SG.new").map(|_| ()),
                    entry.clear(text).map(|_| ()),
                ] {
                    let error = result.expect_err(text).to_string();
                    assert!(error.contains("it is encrypted with"), "{text}: {error}");
                }
            }
        }
        for text in ["A=1\n", "{}", "kind: Secret\n", "# see ENC in the docs\nA=1\n", ""] {
            refuse(text).expect(text);
        }
    }
}
