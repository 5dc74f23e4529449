//! Reads `x-mesh` from a project's files themselves: Compose's `config` leaves it out, 1.29's of the project and version
//! 2's of services.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::value::field;

/// The key.
const KEY: &str = "x-mesh";
/// Size of a file, in bytes, above which it is not read.
const SIZE_LIMIT: u64 = 4 << 20;

/// What the files say, a later file instead of an earlier one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Extensions {
    /// The project's `x-mesh`; null without one.
    pub(super) project: Value,
    /// That of services.
    pub(super) services: BTreeMap<String, Value>,
}

impl Extensions {
    /// Reads the files. One that does not have the key may be anything that Compose can read.
    ///
    /// # Errors
    /// A file with the key is too large, or no YAML; the text names it.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, String> {
        let mut all = Self::default();
        for file in files {
            all.add(file)
                .map_err(|reason| format!("{}: {reason}", file.display()))?;
        }
        Ok(all)
    }

    fn add(&mut self, file: &Path) -> Result<(), String> {
        let mut bytes = Vec::new();
        let opened = File::open(file).map_err(|error| error.to_string())?;
        let mut limited = opened.take(SIZE_LIMIT + 1);
        limited
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&bytes);
        if !text.contains(KEY) {
            return Ok(());
        }
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(format!(
                "it is larger than {SIZE_LIMIT} bytes, too large to look for {KEY} in it"
            ));
        }
        let read: Value = serde_saphyr::from_str(&text)
            .map_err(|error| format!("{KEY} cannot be read from it: {error}"))?;
        merge(&mut self.project, field(&read, KEY));
        let services = field(&read, "services").and_then(Value::as_object);
        for (name, service) in services.into_iter().flatten() {
            if let Some(own) = field(service, KEY) {
                merge(self.services.entry(name.clone()).or_default(), Some(own));
            }
        }
        Ok(())
    }
}

/// Adds the keys of a map to one; anything else takes its place, and is reported where it is used.
fn merge(to: &mut Value, added: Option<&Value>) {
    match (to, added) {
        (_, None) => {}
        (Value::Object(to), Some(Value::Object(added))) => to.extend(added.clone()),
        (to @ Value::Null, Some(Value::Object(added))) => *to = Value::Object(Map::clone(added)),
        (to, Some(other)) => *to = other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(texts: &[&[u8]]) -> Result<Extensions, String> {
        let directory = tempfile::tempdir().unwrap();
        let write = |(index, text): (usize, &&[u8])| {
            let path = directory.path().join(format!("{index}.yaml"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let files: Vec<PathBuf> = texts.iter().enumerate().map(write).collect();
        Extensions::read(&files)
    }

    #[test]
    fn later_files_change_keys_of_earlier_ones() {
        let first = b"x-mesh: {hold: 1}
x-common: &common
  x-mesh: {check: passive}
services:
  api: {<<: *common, image: api}
  web: {x-mesh: {ports: [80]}}
";
        let second = b"x-mesh: {calls: all}\nservices: {web: {x-mesh: {hold: 5}}, db: null}\n";
        let all = read(&[first, second, b"services: {other: {image: x}}"]).unwrap();
        assert_eq!(all.project, json!({"hold": 1, "calls": "all"}));
        let services = [
            ("api".to_owned(), json!({"check": "passive"})),
            ("web".to_owned(), json!({"ports": [80], "hold": 5})),
        ];
        assert_eq!(all.services, BTreeMap::from(services));
    }

    #[test]
    fn only_a_file_with_the_key_must_be_readable() {
        let unreadable = [
            &b"services: {api: [\n"[..],
            b"\xff\xfe\x00",
            b"a: !custom {b: c}\n---\nmore: documents\n",
        ];
        for text in unreadable {
            assert_eq!(read(&[text]), Ok(Extensions::default()));
            let error = read(&[&[text, b"\nx-mesh: {"].concat()]).unwrap_err();
            assert!(error.contains("0.yaml: x-mesh cannot be read from it"), "{error}");
        }
        let deep = format!("x-mesh: {}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&[deep.as_bytes()]).is_err());
        let mut doubled = "x-mesh: &a [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 0..26 {
            let (from, to) = ((b'a' + level) as char, (b'b' + level) as char);
            doubled.push_str(&format!(
                "k{level}: &{to} [{}]\n",
                vec![format!("*{from}"); 10].join(",")
            ));
        }
        assert!(read(&[doubled.as_bytes()]).is_err());
        let large = [&b"x-mesh: {}\n#"[..], &vec![b'.'; SIZE_LIMIT as usize]].concat();
        assert!(read(&[&large]).unwrap_err().contains("larger than"));
    }
}
