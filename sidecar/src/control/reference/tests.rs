//! docs/commands.md matches the specifications. `UPDATE_DOCS=1 cargo test -p sidecar --lib -- reference openapi` regenerates it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::*;

const BEGIN: &str = "<!-- specification: ";
const END: &str = "<!-- end of specification -->";

/// The text between two markers, by the name in the first one.
fn section(name: &str) -> String {
    match name {
        "actions" => actions(),
        "resources" => resources(),
        "keys" => all_keys(),
        word => {
            let mut named = Resource::ALL.iter().filter(|resource| resource.is_configured());
            let attachment = word == "server-group in server-groups";
            let resource = named.find(|resource| match attachment {
                true => **resource == Resource::Attachment,
                false => resource.word() == word,
            });
            of(*resource.unwrap_or_else(|| panic!("nothing is called {word}")))
        }
    }
}

fn actions() -> String {
    let mut table = "| action | short | meaning | HTTP |\n|---|---|---|---|\n".to_owned();
    for (word, short, meaning, http) in Action::ALL.iter().map(|action| action.spec()) {
        writeln!(table, "| `{word}` | `{short}` | {meaning} | {http} |").unwrap();
    }
    table
}

fn resources() -> String {
    let mut table = "| resource | short | description |\n|---|---|---|\n".to_owned();
    for resource in Resource::words().filter_map(Resource::from_word) {
        let spec = resource.spec();
        writeln!(table, "| `{resource}` | {} | {} |", quoted(spec.short), spec.help).unwrap();
    }
    table
}

/// Every key, with its name in each resource's JSON.
fn all_keys() -> String {
    let mut table = "| key | short | JSON field | value |\n|---|---|---|---|\n".to_owned();
    for key in keys() {
        let all = Resource::ALL.iter().flat_map(|resource| resource.spec().keys);
        let mut fields: Vec<&str> = Vec::new();
        for field in all
            .filter(|same| same.word == key.word)
            .flat_map(|same| same.json())
        {
            if !fields.contains(&field.name) {
                fields.push(field.name);
            }
        }
        let words = quoted([key.word].into_iter().chain(key.off));
        let value = if key.off.is_some() {
            "a flag; in JSON true or false".to_owned()
        } else {
            values(key)
        };
        writeln!(
            table,
            "| {words} | {} | {} | {value} |",
            quoted(key.short),
            quoted(fields)
        )
        .unwrap();
    }
    table
}

/// The keys of a resource.
fn of(resource: Resource) -> String {
    let mut text = String::new();
    for (_, action) in syntaxes().filter(|(of, _)| *of == resource) {
        writeln!(text, "    {}", syntax(resource, action)).unwrap();
    }
    let spec = resource.spec();
    if spec.keys.is_empty() {
        return text + "\nIt has no keys and cannot be updated.\n";
    }
    text.push_str("\n| key | JSON field | default | updatable | meaning |\n|---|---|---|---|---|\n");
    for key in spec.keys {
        let default = match (key.presence, key.off) {
            (Presence::Required, _) => "required".to_owned(),
            (Presence::Default(_), Some(off)) => format!("`{off}`"),
            (Presence::Default(word), None) => format!("`{word}`"),
            (Presence::Optional, _) => "none".to_owned(),
        };
        let updatable = if key.updatable { "yes" } else { "no" };
        let words = quoted([key.word].into_iter().chain(key.off));
        let fields = quoted(key.json().map(|field| field.name));
        let meaning: Vec<&str> = key.json().map(|field| field.help).collect();
        let meaning = meaning.join("; ").replace("RESOURCE", resource.word());
        writeln!(
            text,
            "| {words} | {fields} | {default} | {updatable} | {meaning} |"
        )
        .unwrap();
    }
    text
}

fn quoted(words: impl IntoIterator<Item = &'static str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// The document with its generated sections replaced, and their names.
fn regenerated(document: &str) -> (String, Vec<&str>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut rest = document;
    while let Some((before, begun)) = rest.split_once(BEGIN) {
        let (name, begun) = begun.split_once(" -->\n").expect("the end of a marker");
        let (_, after) = begun.split_once(END).expect("the end of a section");
        write!(text, "{before}{BEGIN}{name} -->\n\n{}\n{END}", section(name)).unwrap();
        names.push(name);
        rest = after;
    }
    (text + rest, names)
}

#[test]
fn the_reference_has_what_the_specifications_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let document = fs::read_to_string(&path).expect("docs/commands.md");
    let (expected, names) = regenerated(&document);
    for resource in Resource::ALL.iter().filter(|resource| resource.is_configured()) {
        let name = match resource {
            Resource::Attachment => "server-group in server-groups",
            other => other.word(),
        };
        assert!(
            names.contains(&name),
            "docs/commands.md has no section {BEGIN}{name} -->"
        );
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).expect("docs/commands.md is written");
    } else {
        assert!(
            document == expected,
            "docs/commands.md is out of date: UPDATE_DOCS=1 cargo test -p sidecar --lib -- reference openapi"
        );
    }
}

#[test]
fn help_has_the_syntax_of_each_command() {
    let help = help();
    for line in [
        "add server-groups NAME\n",
        "add server NAME to server-group NAME address ADDRESS [weight WEIGHT]\n",
        "update server-group NAME in server-groups NAME weight WEIGHT\n",
        "update socks5-server NAME [server-groups SERVER-GROUPS] [security-group SECURITY-GROUP] [hold HOLD] \
         [idle-timeout IDLE-TIMEOUT] [request-timeout REQUEST-TIMEOUT] [send-forwarded|omit-forwarded] \
         [max-connections-per-client MAX-CONNECTIONS-PER-CLIENT] \
         [allow-non-backend|deny-non-backend] [allow-local|deny-local]\n",
    ] {
        assert!(help.contains(line), "{line} is not in\n{help}");
    }
}
