//! Generates the description from the routes and the types that they serve.

use hyper::Method;
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ComponentsBuilder, ObjectBuilder, OneOfBuilder, Ref, Schema, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, RefOr, Required, Response,
    ResponseBuilder, Server,
};

use crate::control::http::answers::{NotJson, Refused};
use crate::control::http::routes::{Change, Leads, ROUTES, Reading, Route, Selection};
use crate::control::resources::{BodyField, Presence, Resource};
use crate::control::values::Json;

/// The description for callers that need no token.
pub(super) fn document() -> OpenApi {
    let mut components = ComponentsBuilder::new()
        .schema_from::<Refused>()
        .schema_from::<NotJson>()
        .security_scheme(
            "token",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        );
    let mut paths = PathsBuilder::new();
    for route in ROUTES.iter() {
        if let Leads::Read(reading) = &route.leads {
            components = components.schemas_from_iter(reading.answer.schema.components.clone());
        }
        let mut item = PathItem::new(method(&route.method), operation(route));
        let parameters: Vec<Parameter> = names(&route.path).map(parameter).collect();
        if !parameters.is_empty() {
            item.parameters = Some(parameters.into_iter().map(RefOr::T).collect());
        }
        paths = paths.path(&route.path, item);
    }
    let info = InfoBuilder::new()
        .title("Sidecar control plane")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Resources of a running sidecar. Changes take effect at once and lose no connection; a refused request \
             changes nothing.",
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// The names that a path stands for.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str) -> Parameter {
    let about = match name {
        "session" => {
            "an address at one of its ends, or /REGEX/ over CLIENT->INSTANCE; percent-encoded".to_owned()
        }
        "bind-server" => "the address as IP:PORT".to_owned(),
        other => format!("the name of the {other}"),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn cascade() -> Parameter {
    ParameterBuilder::new()
        .name("cascade")
        .parameter_in(ParameterIn::Query)
        .description(Some("remove everything that uses it, too"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::Boolean)))
        .build()
}

/// What a route does, in a few words.
fn about(leads: &Leads) -> String {
    match leads {
        Leads::Change(change) => change.to_string(),
        Leads::Read(reading) => read(reading),
        Leads::Nothing => "list names that were resolved: none is kept".to_owned(),
        Leads::Document => "read this description".to_owned(),
    }
}

fn read(reading: &Reading) -> String {
    let (action, detail) = match reading.selection {
        Selection::All => ("list", ""),
        Selection::One => ("read one", ""),
        Selection::Detail => ("read one", " in detail"),
    };
    let parents: String = reading.parents.iter().map(|p| format!(" in {p}")).collect();
    format!("{action} {}{parents}{detail}", reading.resource)
}

fn operation(route: &Route) -> Operation {
    let refused = || RefOr::from(Ref::from_schema_name(Refused::name()));
    let about = about(&route.leads);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(about.replace([' ', ':'], "-")))
        .summary(Some(about));
    let mut refusal = answer("refused", refused());
    match &route.leads {
        Leads::Read(reading) => {
            let schema = &reading.answer.schema;
            let one = schema.item.clone();
            let found = match schema.is_list && reading.selection == Selection::All {
                true => answer("what was asked for", ArrayBuilder::new().items(one)),
                false => answer("what was asked for", one),
            };
            operation = operation.response("200", found);
            if route.path.contains('{') {
                operation = operation.response("404", answer("there is no such resource", refused()));
            }
        }
        Leads::Nothing => {
            let nothing = ArrayBuilder::new().max_items(Some(0));
            operation = operation.response("200", answer("what was asked for", nothing));
        }
        Leads::Document => {
            operation = operation.response("200", answer("this description", ObjectBuilder::new()));
        }
        Leads::Change(change) => {
            operation = operation
                .response("204", ResponseBuilder::new().description("done"))
                .response(
                    "500",
                    answer(
                        "done, but it could not be saved and is lost at the next start",
                        refused(),
                    ),
                );
            if let Some(fields) = &change.fields {
                let not_json = Ref::from_schema_name(NotJson::name());
                let either = OneOfBuilder::new().item(refused()).item(not_json);
                refusal = answer("refused; nothing is changed", either);
                operation = operation.request_body(Some(
                    RequestBodyBuilder::new()
                        .content(
                            "application/json",
                            ContentBuilder::new().schema(Some(body(change, fields))).build(),
                        )
                        .required(Some(Required::True))
                        .build(),
                ));
                for (status, about) in [
                    ("408", "the body did not arrive in time"),
                    ("413", "the body is too large"),
                    ("415", "the body is compressed"),
                ] {
                    operation = operation.response(status, answer(about, refused()));
                }
            }
            if change.fields.is_none() {
                operation = operation.parameter(cascade());
            }
        }
    }
    operation = operation.response("400", refusal);
    operation.build()
}

fn answer(about: &str, schema: impl Into<RefOr<Schema>>) -> Response {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(about)
        .content("application/json", content)
        .build()
}

/// The schema of a body, from the specification of its fields.
fn body(change: &Change, fields: &[BodyField]) -> ObjectBuilder {
    let mut body = ObjectBuilder::new()
        .description(Some(change.to_string()))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    let mut any_required = false;
    for field in fields.iter().filter(|field| field.foreign.is_none()) {
        let name = field.field.name;
        body = body.property(name, property(change.resource, field));
        if field.presence == Presence::Required {
            body = body.required(name);
            any_required = true;
        }
    }
    if any_required {
        body
    } else {
        body.min_properties(Some(1))
    }
}

fn property(resource: Resource, field: &BodyField) -> ObjectBuilder {
    let BodyField { field, presence, .. } = field;
    let schema = match field.json {
        Json::Text => ObjectBuilder::new()
            .schema_type(Type::String)
            .extensions(Some([("x-expected", field.expected)].into_iter().collect())),
        Json::OneOf(words) => ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words.iter().copied())),
        Json::Integer { min, max } => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(min))
            .maximum(Some(max)),
        Json::Bool => ObjectBuilder::new().schema_type(Type::Boolean),
    };
    let default = match presence {
        Presence::Default(word) => Some(field.json.value(word)),
        Presence::Required | Presence::Optional => None,
    };
    schema
        .description(Some(field.help.replace("RESOURCE", resource.word())))
        .default(default)
}
