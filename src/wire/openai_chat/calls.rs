//! Puts tool calls together from fragments, whatever a server does with ids, indexes and names.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{Arguments, ToolCall};
use crate::wire::ids::Rule;
use crate::wire::json;

/// The calls of one reply.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// Which call an index stands for at the moment.
    places: Vec<(u64, usize)>,
}

#[derive(Default)]
struct Call {
    id: Option<String>,
    name: String,
    arguments: String,
    extra: Option<Box<RawValue>>,
}

/// The call that a fragment belongs to.
enum Target {
    Known(usize),
    New,
    Nothing,
}

/// What one fragment says.
pub(super) struct Fragment<'a> {
    index: Option<u64>,
    id: Option<String>,
    name: Option<String>,
    arguments: Option<&'a RawValue>,
    extra: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawFragment<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
    #[serde(borrow)]
    extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Fragment<'a> {
    /// Reads an element of `tool_calls`.
    pub(super) fn of_call(raw: &'a RawValue) -> Option<Self> {
        let fragment: RawFragment<'a> = json::object(raw)?;
        let function = fragment.function.and_then(json::object::<Function<'a>>);
        Some(Self {
            index: json::count(fragment.index),
            id: json::word(fragment.id),
            name: function.as_ref().and_then(|function| json::word(function.name)),
            arguments: function.and_then(|function| function.arguments),
            extra: fragment.extra_content,
        })
    }

    /// Reads the old `function_call`.
    pub(super) fn of_function(raw: &'a RawValue) -> Option<Self> {
        let function: Function<'a> = json::object(raw)?;
        let name = json::word(function.name);
        Some(Self { index: None, id: None, name, arguments: function.arguments, extra: None })
    }

    /// The arguments as text, and whether that is all of them.
    fn arguments(&self) -> (std::borrow::Cow<'a, str>, bool) {
        match self.arguments {
            Some(raw) if raw.get().starts_with('{') => (raw.get().into(), true),
            Some(raw) => (json::string(raw).unwrap_or_default(), false),
            None => ("".into(), false),
        }
    }
}

impl Call {
    /// Whether the arguments collected so far are a JSON object.
    fn is_complete(&self) -> bool {
        let text = self.arguments.trim();
        // A cheap look first: some servers make this question come with every fragment.
        text.starts_with('{') && text.ends_with('}') && matches!(Arguments::parse(text), Arguments::Object(_))
    }

    fn is_blank(&self) -> bool {
        self.arguments.trim().is_empty()
    }

    fn merge(&mut self, fragment: Fragment<'_>) {
        let (piece, all) = fragment.arguments();
        if self.id.is_none() {
            self.id = fragment.id;
        }
        if let Some(name) = fragment.name
            && name != self.name
            && (self.name.is_empty() || self.is_blank())
        {
            self.name.push_str(&name);
        }
        if all {
            piece.as_ref().clone_into(&mut self.arguments);
        } else if *piece != self.arguments || !self.is_complete() {
            self.arguments.push_str(&piece);
        }
        self.extra = fragment.extra.map(ToOwned::to_owned).or(self.extra.take());
    }
}

impl Calls {
    /// How many there are so far.
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Takes one fragment.
    pub(super) fn add(&mut self, fragment: Fragment<'_>) {
        let at = match self.target(&fragment) {
            Target::Known(at) => at,
            Target::New => self.begin(fragment.index),
            Target::Nothing => return,
        };
        if let Some(call) = self.calls.get_mut(at) {
            call.merge(fragment);
        }
    }

    fn begin(&mut self, index: Option<u64>) -> usize {
        let at = self.calls.len();
        self.calls.push(Call::default());
        if let Some(index) = index {
            self.places.retain(|(known, _)| *known != index);
            self.places.push((index, at));
        }
        at
    }

    fn target(&self, fragment: &Fragment<'_>) -> Target {
        let place = fragment.index.and_then(|index| self.places.iter().find(|(known, _)| *known == index));
        let holder = place.and_then(|(_, at)| self.calls.get(*at).map(|call| (*at, call)));
        if let Some(id) = &fragment.id {
            if let Some(at) = self.calls.iter().position(|call| call.id.as_ref() == Some(id)) {
                return Target::Known(at);
            }
            // Servers that give every call index 0 name each of them; others change the id of one call midway.
            let same = holder.filter(|(_, call)| call.id.is_none() || fragment.name.is_none());
            return same.map_or(Target::New, |(at, _)| Target::Known(at));
        }
        match (fragment.index, holder) {
            (Some(_), Some((_, call))) if is_next(call, fragment) => Target::New,
            (Some(_), Some((at, _))) => Target::Known(at),
            (Some(_), None) if fragment.name.is_some() => Target::New,
            (Some(_), None) => self.last().map_or(Target::New, Target::Known),
            (None, _) => self.target_by_name(fragment),
        }
    }

    fn target_by_name(&self, fragment: &Fragment<'_>) -> Target {
        let Some(name) = &fragment.name else { return self.last().map_or(Target::Nothing, Target::Known) };
        let goes_on = self.calls.last().is_some_and(|call| {
            let unfinished = call.name == *name && !call.is_blank() && !call.is_complete();
            call.name.is_empty() || unfinished
        });
        self.last().filter(|_| goes_on).map_or(Target::New, Target::Known)
    }

    fn last(&self) -> Option<usize> {
        self.calls.len().checked_sub(1)
    }

    /// Whether there is any call.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether the arguments of every call are a JSON object.
    pub(super) fn are_complete(&self) -> bool {
        self.calls.iter().all(Call::is_complete)
    }

    /// The calls that have a name, and whether some had none. `reply` tells ids made here apart from those of
    /// other replies.
    pub(super) fn finish(self, ids: Rule, reply: &str) -> (Vec<ToolCall>, bool) {
        let nameless = self.calls.iter().any(|call| call.name.is_empty());
        let named = self.calls.into_iter().enumerate().filter(|(_, call)| !call.name.is_empty());
        let calls = named.map(|(at, call)| {
            let arguments = Arguments::parse(&call.arguments);
            let made = || ids.digest(&[reply, &at.to_string(), &call.name, &call.arguments]);
            let id = call.id.clone().unwrap_or_else(made);
            let seal = call.extra.and_then(|extra| json::object_of(&[("extra_content", extra.get())]));
            ToolCall { id, name: call.name, arguments, seal }
        });
        (calls.collect(), nameless)
    }
}

/// Whether a fragment without id under a known index begins another call.
fn is_next(holder: &Call, fragment: &Fragment<'_>) -> bool {
    let (piece, _) = fragment.arguments();
    fragment.name.is_some()
        && !piece.trim().is_empty()
        && *piece != holder.arguments
        && !holder.name.is_empty()
        && holder.is_complete()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(fragments: &[&str]) -> Vec<(String, String, String)> {
        let mut calls = Calls::default();
        for fragment in fragments {
            let raw = RawValue::from_string((*fragment).to_owned()).unwrap();
            calls.add(Fragment::of_call(&raw).unwrap());
        }
        let (calls, _) = calls.finish(Rule::Length(40), "r");
        calls.into_iter().map(|call| (call.id, call.name, call.arguments.replay().to_owned())).collect()
    }

    fn case(fragments: &[&str], expected: &[(&str, &str, &str)]) {
        let seen = calls(fragments);
        let seen: Vec<_> =
            seen.iter().map(|(id, name, args)| (if id.len() > 20 { "*" } else { id }, &**name, &**args)).collect();
        assert_eq!(seen, expected, "{fragments:?}");
    }

    #[test]
    fn rows_of_the_table() {
        let f = r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#;
        // A known id wins over any index.
        case(
            &[
                r#"{"index":0,"id":"a","function":{"name":"f"}}"#,
                r#"{"index":3,"id":"a","function":{"arguments":"{\"x\":1}"}}"#,
            ],
            &[("a", "f", r#"{"x":1}"#)],
        );
        // The id comes late.
        case(&[r#"{"index":0,"function":{"name":"f"}}"#, r#"{"index":0,"id":"a","function":{}}"#], &[("a", "f", "{}")]);
        // One index for all calls.
        case(
            &[f, r#"{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}"#],
            &[("a", "f", r#"{"x":1}"#), ("b", "f", "{}")],
        );
        // An id that changes midway.
        case(
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":0,"id":"b","function":{"arguments":"}"}}"#,
            ],
            &[("a", "f", "{}")],
        );
        // No id, the index again, another complete call.
        case(
            &[
                r#"{"index":0,"function":{"name":"f","arguments":"{\"x\":1}"}}"#,
                r#"{"index":0,"function":{"name":"f","arguments":"{\"x\":2}"}}"#,
            ],
            &[("*", "f", r#"{"x":1}"#), ("*", "f", r#"{"x":2}"#)],
        );
        // A continuation under a wrong index.
        case(
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":1,"function":{"arguments":"}"}}"#,
            ],
            &[("a", "f", "{}")],
        );
        // No index at all: split arguments, then a second call.
        case(
            &[
                r#"{"function":{"name":"f","arguments":"{\"x\":"}}"#,
                r#"{"function":{"name":"f","arguments":"1}"}}"#,
                r#"{"function":{"name":"f","arguments":{"x":2}}}"#,
            ],
            &[("*", "f", r#"{"x":1}"#), ("*", "f", r#"{"x":2}"#)],
        );
        // Arguments without any call are dropped.
        case(&[r#"{"function":{"arguments":"{}"}}"#], &[]);
        // A resend, and null and missing arguments.
        case(
            &[
                f,
                r#"{"index":0,"function":{"arguments":"{\"x\":1}"}}"#,
                r#"{"index":0,"function":{"arguments":null}}"#,
                r#"{"index":0}"#,
            ],
            &[("a", "f", r#"{"x":1}"#)],
        );
    }
}
