//! The checksum of age's keys (BIP 173), which finds a letter that is wrong.

const LETTERS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM: usize = 6;

/// What stands before the last `1` of a text, and how many letters of five bits the text says behind it; nothing where a
/// letter of it is wrong. Capitals, which nobody writes age's public keys in, are.
pub(super) fn read(text: &str) -> Option<(&str, usize)> {
    let (name, data) = text.rsplit_once('1')?;
    let is_shown = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    if name.is_empty() || !name.bytes().all(is_shown) {
        return None;
    }
    let data: Vec<u32> = data.chars().map(|c| u32::try_from(LETTERS.find(c)?).ok()).collect::<Option<_>>()?;
    let high = name.bytes().map(|byte| u32::from(byte >> 5));
    let low = name.bytes().map(|byte| u32::from(byte & 31));
    let all = high.chain([0]).chain(low).chain(data.iter().copied());
    (all.fold(1, step) == 1).then(|| data.len().checked_sub(CHECKSUM).map(|length| (name, length)))?
}

fn step(sum: u32, value: u32) -> u32 {
    let top = sum >> 25;
    let next = ((sum & 0x01ff_ffff) << 5) ^ value;
    GENERATOR
        .iter()
        .enumerate()
        .filter(|(bit, _)| (top >> bit) & 1 == 1)
        .fold(next, |sum, (_, part)| sum ^ part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first four are of BIP 173.
    #[test]
    fn a_text_with_its_checksum_is_read() {
        for (text, name, length) in [
            ("a12uel5l", "a", 0),
            ("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", 32),
            ("split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "split", 48),
            (
                "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
                "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
                0,
            ),
            ("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "age", 52),
        ] {
            assert_eq!(read(text), Some((name, length)), "{text}");
        }
    }

    #[test]
    fn any_letter_that_is_another_and_any_two_that_changed_places_are_found() {
        let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        for at in 4..key.len() {
            for letter in LETTERS.chars().filter(|letter| !key[at..].starts_with(*letter)) {
                let other = format!("{}{letter}{}", &key[..at], &key[at + 1..]);
                assert_eq!(read(&other), None, "{other}");
            }
            let (one, two) = (&key[at - 1..at], &key[at..=at]);
            let swapped = format!("{}{two}{one}{}", &key[..at - 1], &key[at + 1..]);
            assert_eq!(read(&swapped).is_some(), one == two, "{swapped}");
        }
        for text in ["", "1", "age", "age1", "age1q", "1qqqqqqq", "age1bio", &key.to_uppercase(), &key[..61]]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
