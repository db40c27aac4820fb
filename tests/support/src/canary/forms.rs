//! The shapes in which a secret may come to light.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::Value;

/// The shortest secret that can be told from other text, in bytes; also the shortest part of one that is found.
pub const SHORTEST: usize = 12;

/// A window has at least so many different bytes: `xxxxxxxxxxxx` tells nothing.
const DIFFERENT: usize = 5;

/// Of a larger secret so much is searched for, in bytes.
const ENOUGH: usize = 4096;

pub(super) type Window = [u8; SHORTEST];

/// Everything that gives a secret away.
pub(super) fn windows(secret: &[u8]) -> Vec<Window> {
    let mut all = Vec::new();
    for line in lines(secret).iter().filter(|line| line.len() >= SHORTEST) {
        for form in forms(&line[..line.len().min(ENOUGH)]) {
            let windows = form.windows(SHORTEST).filter_map(|window| window.first_chunk().copied());
            all.extend(windows.filter(tells));
        }
    }
    all
}

/// The lines of a secret that are secret.
fn lines(secret: &[u8]) -> Vec<Vec<u8>> {
    let file: Value = serde_json::from_slice(secret).unwrap_or_default();
    let text = file["key"].as_str().map_or(secret, str::as_bytes);
    if text.starts_with(b"-----BEGIN CERTIFICATE") {
        return Vec::new();
    }
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.starts_with(b"-----")).map(<[u8]>::to_vec).collect()
}

fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.to_vec(),
        secret.escape_ascii().to_string().into_bytes(),
        percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes(),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.push(Value::from(text).to_string().trim_matches('"').as_bytes().to_vec());
    }
    for before in 0..3 {
        let standard = base64_after(before, secret);
        forms.push(standard.iter().map(|char| url_safe(*char)).collect());
        forms.push(standard);
    }
    forms
}

/// The characters that depend on the secret alone where it stands after so many other bytes, modulo 3.
fn base64_after(before: usize, secret: &[u8]) -> Vec<u8> {
    let bytes = [&[0; 2][..before], secret].concat();
    let encoded = STANDARD.encode(&bytes).into_bytes();
    encoded[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_vec()
}

fn url_safe(char: u8) -> u8 {
    match char {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn tells(window: &Window) -> bool {
    let mut sorted = *window;
    sorted.sort_unstable();
    sorted.chunk_by(PartialEq::eq).count() >= DIFFERENT
}

/// The bytes of lists such as `[104, 117]`, as `Debug` shows them.
pub(super) fn lists_of_numbers(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let lists =
        text.split(|byte| *byte == b'[').skip(1).filter(|list| list.first().is_some_and(u8::is_ascii_digit));
    let bytes = lists.map(|list| {
        let numbers = list.split(|byte| !byte.is_ascii_digit() && *byte != b' ');
        numbers.map_while(|number| std::str::from_utf8(number).ok()?.trim().parse().ok()).collect::<Vec<u8>>()
    });
    bytes.filter(|bytes| bytes.len() >= SHORTEST)
}

/// The bytes of runs of hexadecimal digits. A part of a secret is found in them as it is: twelve digits alone are six
/// bytes, and may be a word of any certificate.
pub(super) fn runs_of_hex(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let runs = text.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= 2 * SHORTEST);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    runs.map(move |run| run.chunks_exact(2).filter_map(byte).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use crate::canary::{Canaries, Watch};

    const SECRET: &str = "p4ss/w\u{f6}rd+with \"all\" of & it: \\";

    fn marked(secret: &[u8]) -> Canaries {
        let canaries = Watch::default().begin();
        canaries.mark("it", secret);
        canaries
    }

    fn is_found(secret: &[u8], text: &[u8]) -> bool {
        let canaries = marked(secret);
        canaries.watch().inspect(format_args!("text"), text);
        canaries.any_found()
    }

    #[test]
    fn a_secret_is_found_in_every_shape() {
        use super::*;
        let bytes = SECRET.as_bytes();
        let mut shapes = BTreeMap::from([
            ("as it is", SECRET.to_owned()),
            ("quoted", format!("{SECRET:?}")),
            ("bytes", format!("{:?}", bytes::Bytes::from(SECRET))),
            ("numbers", format!("{bytes:?}")),
            ("JSON", json!(SECRET).to_string()),
            ("JSON in JSON", json!({ "body": SECRET }).to_string()),
            ("a path", percent_encode(bytes, NON_ALPHANUMERIC).to_string()),
            ("hexadecimal", bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            ("a part", SECRET.chars().skip(8).take(SHORTEST).collect()),
        ]);
        for (name, before) in [("base64", ""), ("one later", "1"), ("two later", "12")] {
            shapes.insert(name, STANDARD.encode(format!("{before}{SECRET}, and so on")));
        }
        for (name, shape) in shapes {
            assert!(is_found(bytes, format!("before {shape} after").as_bytes()), "{name}: {shape}");
        }
        assert!(!is_found(bytes, b"p4ss, and words with all of it"));
    }

    #[test]
    fn of_a_key_file_each_line_of_the_key_is_secret_and_nothing_else() {
        let lines = ["MIIEowIBAAKCAQEA1234", "qzJb7f2Xy0PlWm8sRt5u"];
        let key =
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"));
        let file = json!({ "type": "serviceaccount", "keyId": "312909075211944344", "key": key }).to_string();
        for line in lines {
            assert!(is_found(file.as_bytes(), line.as_bytes()));
        }
        assert!(!is_found(file.as_bytes(), b"-----BEGIN RSA PRIVATE KEY----- 312909075211944344"));
    }

    #[test]
    fn what_tells_nothing_is_not_searched_for() {
        assert!(!is_found(b"eu-central", b"eu-central"));
        assert!(!is_found(&[b'x'; 100], &[b'x'; 100]));
        assert!(!is_found(b"-----BEGIN CERTIFICATE-----\nMIIBATCBrKADAgEC", b"MIIBATCBrKADAgEC"));
    }
}
