//! The API document against the API that it describes: the document alone suffices to use every operation.

use serde_json::{Map, Value, json};

use super::support::Api;

const BODY: &str = "/requestBody/content/application~1json/schema";

struct Operation<'a> {
    method: String,
    path: &'a str,
    described: &'a Value,
}

impl Operation<'_> {
    /// The schema of an answer's body.
    fn answer(&self, status: u16) -> &Value {
        let pointer = format!("/responses/{status}");
        let answer = self.described.pointer(&pointer);
        let answer =
            answer.unwrap_or_else(|| panic!("{} {}: {status} is not documented", self.method, self.path));
        answer
            .pointer("/content/application~1json/schema")
            .unwrap_or(&Value::Null)
    }

    /// The path with the name `new` for every resource.
    fn filled(&self, bound: &str) -> String {
        let fill = |part: &str| match part {
            "{bind-server}" => bound.to_owned(),
            "{session}" => "%2Fnobody%2F".to_owned(),
            part if part.starts_with('{') => "new".to_owned(),
            part => part.to_owned(),
        };
        self.path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
}

fn operations<'a>(document: &'a Value, method: &str) -> Vec<Operation<'a>> {
    let paths = document["paths"].as_object().expect("paths");
    let under = |(path, item): (&'a String, &'a Value)| {
        Some(Operation {
            method: method.to_owned(),
            path,
            described: item.get(method.to_ascii_lowercase())?,
        })
    };
    paths.iter().filter_map(under).collect()
}

/// A value that matches a property's schema.
fn fitting(name: &str, property: &Value) -> Value {
    if let Some(default) = property.get("default") {
        return default.clone();
    }
    match (property.get("enum"), property.get("minimum")) {
        // Goes with each other key of HTTP.
        (Some(words), _) if name == "protocol" => words
            .as_array()
            .and_then(|all| all.last())
            .cloned()
            .unwrap_or_default(),
        (Some(words), _) => words[0].clone(),
        (_, Some(least)) => least.clone(),
        _ => match name {
            "address" => json!("127.0.0.1:0"),
            "clientNetwork" => json!("10.0.0.0/8"),
            "nic" => json!("lo"),
            "check" => json!("http /healthz"),
            "securityGroup" => json!("(allow-all)"),
            "eject" => json!("5 for 30000"),
            // Each client has connections of its own, so that they may tell its address.
            "sendProxy" => json!(false),
            "allowNonBackend" | "allowLocal" | "sendForwarded" => json!(true),
            _ => json!("new"),
        },
    }
}

fn whole(schema: &Value) -> Map<String, Value> {
    let properties = schema["properties"].as_object().expect("properties");
    // A group filled from DNS cannot be filled from the mesh, which another request is to do.
    let from_dns = |name: &str| properties.contains_key("resolve") && ["resolve", "port"].contains(&name);
    properties
        .iter()
        .filter(|(name, _)| !from_dns(name))
        .map(|(name, p)| (name.clone(), fitting(name, p)))
        .collect()
}

async fn sent(api: &Api, operation: &Operation<'_>, body: &Map<String, Value>) -> (u16, String) {
    let body = Value::Object(body.clone()).to_string();
    api.ask(&operation.method, &operation.filled(""), &body).await
}

/// Sends the body without each required field, and with an unknown one.
async fn refuses_other_fields(api: &Api, operation: &Operation<'_>, schema: &Value) {
    for required in schema["required"].as_array().into_iter().flatten() {
        let required = required.as_str().expect("a name");
        let mut body = whole(schema);
        body.remove(required);
        let (status, answer) = sent(api, operation, &body).await;
        assert_eq!(status, 400, "{} without {required}: {answer}", operation.path);
        assert!(answer.contains(&format!("{required} is required")), "{answer}");
    }
    let mut body = whole(schema);
    body.insert("bogus".to_owned(), json!(1));
    let (status, answer) = sent(api, operation, &body).await;
    assert_eq!(status, 400, "{}: {answer}", operation.path);
    assert!(answer.contains("input bogus is not recognized"), "{answer}");
}

#[tokio::test]
async fn every_documented_request_works_and_others_are_refused() {
    let api = Api::open().await;
    let document = api.read("/api/v1/openapi.json").await;
    for operation in operations(&document, "POST") {
        let schema = operation.described.pointer(BODY).expect("a body");
        refuses_other_fields(&api, &operation, schema).await;
        assert_eq!(
            sent(&api, &operation, &whole(schema)).await,
            (204, String::new()),
            "{}",
            operation.path
        );
    }
    for operation in operations(&document, "PUT") {
        let schema = operation.described.pointer(BODY).expect("a body");
        refuses_other_fields(&api, &operation, schema).await;
        for (name, value) in whole(schema) {
            let alone = Map::from_iter([(name.clone(), value)]);
            let answer = sent(&api, &operation, &alone).await;
            assert_eq!(answer, (204, String::new()), "{} {name}", operation.path);
        }
        let answer = sent(&api, &operation, &whole(schema)).await;
        assert_eq!(answer, (204, String::new()), "{}", operation.path);
    }
    for operation in operations(&document, "GET") {
        let kind = operation.path.split('/').nth(4).unwrap_or_default();
        let bound = match operation.path.contains("{bind-server}") {
            true => api.read(&format!("/api/v1/channel/{kind}/new/bind-server")).await[0]["address"].clone(),
            false => Value::Null,
        };
        let answer = api
            .read(&operation.filled(bound.as_str().unwrap_or_default()))
            .await;
        if let Err(fault) = fits(&document, operation.answer(200), &answer) {
            panic!("GET {}: {fault}\n{answer}", operation.path);
        }
    }
    for operation in operations(&document, "DELETE").iter().rev() {
        let path = operation.filled("");
        let (status, answer) = api.ask("DELETE", &format!("{path}?cascade=true"), "").await;
        match operation.path.ends_with("{session}") {
            true => {
                assert_eq!(status, 400, "there is no session: {answer}");
                let answer = serde_json::from_str(&answer).expect("JSON");
                fits(&document, operation.answer(400), &answer).expect("as documented");
            }
            false => assert_eq!((status, answer), (204, String::new()), "{path}"),
        }
    }
    for path in [
        "server-groups",
        "server-group",
        "tcp-lb",
        "socks5-server",
        "security-group",
    ] {
        assert_eq!(api.read(&format!("/api/v1/module/{path}")).await, json!([]));
    }
}

#[tokio::test]
async fn reading_a_missing_resource_is_answered_as_documented() {
    let api = Api::open().await;
    let document = api.read("/api/v1/openapi.json").await;
    for operation in operations(&document, "GET") {
        let named = operation.path.contains('{');
        let status = if named { 404 } else { 200 };
        let (found, answer) = api.ask("GET", &operation.filled("127.0.0.1:1"), "").await;
        assert_eq!(found, status, "{}: {answer}", operation.path);
        let answer = serde_json::from_str(&answer).expect("JSON");
        fits(&document, operation.answer(status), &answer).expect("as documented");
    }
}

/// Checks a value against a schema; supports the part of JSON Schema that the document uses.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let object = schema.as_object().ok_or("not a schema")?;
    if let Some(Value::String(reference)) = object.get("$ref") {
        let schema = document.pointer(&reference[1..]).ok_or("a dangling reference")?;
        return fits(document, schema, value);
    }
    if let Some(Value::Array(either)) = object.get("oneOf") {
        let fitting = either
            .iter()
            .filter(|schema| fits(document, schema, value).is_ok());
        return match fitting.count() {
            1 => Ok(()),
            n => Err(format!("{value} is {n} of {either:?}")),
        };
    }
    let types = match object.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => return Err(format!("{schema} has no type")),
    };
    let is = |one: &str| match one {
        "string" => value.is_string(),
        "integer" => value.as_u64().is_some_and(|n| {
            let bound = |key, default| {
                object
                    .get(key)
                    .map_or(default, |v| v.as_u64().unwrap_or_default())
            };
            (bound("minimum", 0)..=bound("maximum", u64::MAX)).contains(&n)
        }),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("an unknown type: {other}"),
    };
    let is_a = types.iter().any(|one| is(one));
    if !is_a
        || object
            .get("enum")
            .is_some_and(|words| !words.as_array().is_some_and(|w| w.contains(value)))
    {
        return Err(format!("{value} does not match {schema}"));
    }
    if let Value::Array(items) = value {
        if object
            .get("maxItems")
            .and_then(Value::as_u64)
            .is_some_and(|most| items.len() as u64 > most)
        {
            return Err("too many items".to_owned());
        }
        return items
            .iter()
            .try_for_each(|item| fits(document, &object["items"], item));
    }
    let (Value::Object(fields), Some(Value::Object(properties))) = (value, object.get("properties")) else {
        return Ok(());
    };
    let required = object
        .get("required")
        .and_then(Value::as_array)
        .ok_or("no list of required fields")?;
    if let Some(missing) = required
        .iter()
        .find(|name| !fields.contains_key(name.as_str().unwrap_or_default()))
    {
        return Err(format!("{missing} is missing"));
    }
    fields.iter().try_for_each(|(name, field)| {
        let schema = properties.get(name).ok_or(format!("{name} is not documented"))?;
        fits(document, schema, field).map_err(|fault| format!("{name}: {fault}"))
    })
}
