//! Reads a tree by serde, and names the field at fault. Of a value itself nothing is told: it may be a key.

use core::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Json, hint};

/// The largest `int` of PostgreSQL and of timers.
const MAX_INT: i32 = i32::MAX;
/// By these names a tree is asked for what serde has no types for.
const NUMBER_TEXT: &str = "number's text";
const FROM_ONE: &str = "from 1";

/// A field and what is wrong with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Where it lies: `steps`, `jobs[3].size`. Empty for the value itself.
    pub field: String,
    /// As a message goes on behind the field's name.
    pub problem: String,
}

impl Fault {
    /// A field that nobody knows.
    pub fn unknown(field: &str, known: &[&str]) -> Self {
        Self { field: field.to_owned(), problem: format!("is unknown{}", hint::nearest(field, known)) }
    }

    fn new(problem: impl Into<String>) -> Self {
        Self { field: String::new(), problem: problem.into() }
    }

    fn expected(what: &dyn Display) -> Self {
        Self::new(format!("must be {what}"))
    }

    /// The fault as seen from outside of a member.
    fn within(mut self, outer: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{outer}{dot}{}", self.field);
        self
    }
}

impl Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.field, self.problem)
    }
}

impl core::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(problem: T) -> Self {
        Self::new(problem.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(&expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(&expected)
    }

    /// Of a struct, whose fields are read in their order.
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::new("is missing")
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::new("is none that is known")
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::unknown(field, known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self { field: field.to_owned(), problem: "is missing".to_owned() }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self { field: field.to_owned(), problem: "is there twice".to_owned() }
    }
}

/// The names of a struct's fields, as they are read.
pub fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // It always fails, once it has said the names.
    drop(T::deserialize(Names(&mut names)));
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::default())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        *self.0 = fields;
        Err(Fault::default())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Reads a number as the text that the host writes it as, for `deserialize_with`.
pub fn number_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a finite number, 0 or more")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    from.deserialize_newtype_struct(NUMBER_TEXT, Text).map(Some)
}

/// Reads a whole number that is at least 1, for `deserialize_with`.
pub fn from_one<'de, D: Deserializer<'de>, N: From<u32>>(from: D) -> Result<Option<N>, D::Error> {
    struct Whole;
    impl Visitor<'_> for Whole {
        type Value = u32;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a whole number from 1")
        }

        fn visit_u32<E>(self, number: u32) -> Result<u32, E> {
            Ok(number)
        }
    }
    from.deserialize_newtype_struct(FROM_ONE, Whole).map(|number| Some(number.into()))
}

/// Reads what is no such value as if it were not there, for `deserialize_with`.
pub fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(T::deserialize(from).unwrap_or_default())
}

impl Json {
    fn number_of_any_kind(&self) -> Result<f64, Fault> {
        match self {
            Self::Number(number) | Self::Decimal(number, _) => Ok(*number),
            _ => Err(Fault::new("must be a number")),
        }
    }

    fn whole(&self, least: i32) -> Result<f64, Fault> {
        match self {
            Self::Number(number) if number.fract() == 0.0 && (least.into()..=MAX_INT.into()).contains(number) => {
                Ok(*number)
            }
            _ => Err(Fault::new(format!("must be a whole number from {least} to {MAX_INT}"))),
        }
    }

    /// A number's text, for one that is finite and not negative.
    fn cost(&self) -> Option<String> {
        match self {
            Self::Number(number) if *number >= 0.0 && number.fract() == 0.0 => Some((*number as u64).to_string()),
            Self::Decimal(number, text) if *number >= 0.0 && number.is_finite() => Some(text.clone()),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for &'de Json {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Json::Null => visitor.visit_unit(),
            Json::Bool(flag) => visitor.visit_bool(*flag),
            Json::Number(number) if number.fract() == 0.0 => visitor.visit_i64(*number as i64),
            Json::Number(number) | Json::Decimal(number, _) => visitor.visit_f64(*number),
            Json::Text(text) => visitor.visit_borrowed_str(text),
            Json::Array(_) => self.deserialize_seq(visitor),
            Json::Object(_) => self.deserialize_map(visitor),
            Json::Integer(_) | Json::Foreign => Err(unlike(&visitor)),
        }
    }

    // Each of the following takes one kind of value alone: code for the others would be there for every field again.

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Json::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(unlike(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Json::Array(items) => visitor.visit_seq(Items { items: items.iter(), at: 0 }),
            _ => Err(unlike(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Json::Object(members) => visitor.visit_map(Members { members: members.iter(), current: None }),
            _ => Err(Fault::new("must be an object")),
        }
    }

    /// Its fields in their order, which is half as much code as by their names. Members that it has no field for are none of its
    /// affairs; who refuses them has `names_of`.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Json::Object(members) = self else {
            return Err(Fault::new("must be an object"));
        };
        let mut at = "";
        let fields = Fields { members, names: names.iter(), at: &mut at };
        visitor.visit_seq(fields).map_err(|fault| fault.within(at))
    }

    /// Of any size, or exact as far as it is a number.
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Json::Integer(number) => visitor.visit_i128(*number),
            Json::Number(number) if number.fract() == 0.0 => visitor.visit_i64(*number as i64),
            Json::Number(number) | Json::Decimal(number, _) => visitor.visit_f64(*number),
            _ => Err(unlike(&visitor)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Json::Bool(flag) => visitor.visit_bool(*flag),
            _ => Err(Fault::new("must be true or false")),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i32(self.whole(-MAX_INT - 1)? as i32)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u32(self.whole(0)? as u32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.number_of_any_kind()?)
    }

    // Of bytes, ms and positions: the whole part of any number, as near as can be.

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i64(self.number_of_any_kind()? as i64)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.number_of_any_kind()? as u64)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if *self == Json::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        match name {
            NUMBER_TEXT => match self.cost() {
                Some(text) => visitor.visit_str(&text),
                None => Err(unlike(&visitor)),
            },
            FROM_ONE => visitor.visit_u32(self.whole(1)? as u32),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Json::Text(text) => visitor.visit_enum(StrDeserializer::new(text)),
            _ => Err(Fault::new("must be a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 u8 u16 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

fn unlike(expected: &dyn Expected) -> Fault {
    Fault::expected(&expected)
}

struct Fields<'a, 'de> {
    members: &'de [(String, Json)],
    names: core::slice::Iter<'static, &'static str>,
    /// The field that is read, or is missing.
    at: &'a mut &'static str,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        *self.at = self.names.next().copied().unwrap_or_default();
        let member = self.members.iter().find(|(name, _)| name == *self.at);
        member.map(|(_, value)| seed.deserialize(value)).transpose()
    }
}

struct Items<'de> {
    items: core::slice::Iter<'de, Json>,
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let at = self.at;
        self.at += 1;
        seed.deserialize(item).map(Some).map_err(|fault| fault.within(&format!("[{at}]")))
    }
}

struct Members<'de> {
    members: core::slice::Iter<'de, (String, Json)>,
    current: Option<(&'de str, &'de Json)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.members.next() else {
            return Ok(None);
        };
        self.current = Some((name, value));
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.current.unwrap_or(("", &Json::Null));
        seed.deserialize(value).map_err(|fault| fault.within(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::parse;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        name: String,
        #[serde(default)]
        steps: u32,
        #[serde(default, deserialize_with = "from_one")]
        bytes: Option<u64>,
        #[serde(default)]
        is_on: bool,
        #[serde(default, deserialize_with = "number_text")]
        cost: Option<String>,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    struct Inner {
        size: i32,
    }

    fn fault_of(json: &str) -> String {
        Sample::deserialize(&parse(json).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_names_its_field_and_never_its_value() {
        for (json, wanted) in [
            (r#"{}"#, "name: is missing"),
            (r#"{"name":1}"#, "name: must be a string"),
            (r#"{"name":null}"#, "name: must be a string"),
            (r#"{"name":"","steps":1.5}"#, "steps: must be a whole number from 0 to 2147483647"),
            (r#"{"name":"","steps":"secret"}"#, "steps: must be a whole number from 0 to 2147483647"),
            (r#"{"name":"","bytes":0}"#, "bytes: must be a whole number from 1 to 2147483647"),
            (r#"{"name":"","isOn":"secret"}"#, "isOn: must be true or false"),
            (r#"{"name":"","cost":-1}"#, "cost: must be a finite number, 0 or more"),
            (r#"{"name":"","cost":"secret"}"#, "cost: must be a finite number, 0 or more"),
            (
                r#"{"name":"","inner":[{"size":1},{"size":"secret"}]}"#,
                "inner[1].size: must be a whole number from -2147483648 to 2147483647",
            ),
            (r#"{"name":"","inner":[{}]}"#, "inner[0].size: is missing"),
        ] {
            assert_eq!(fault_of(json), wanted, "{json}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_known_one() {
        let fault = Fault::unknown("nam", names_of::<Sample>());
        assert_eq!(fault.to_string(), "nam: is unknown; did you mean name?");
        assert_eq!(Fault::unknown("zzzzzz", names_of::<Sample>()).to_string(), "zzzzzz: is unknown");
    }

    #[test]
    fn a_struct_says_its_names() {
        assert_eq!(names_of::<Sample>(), ["name", "steps", "bytes", "isOn", "cost", "inner"]);
    }

    #[test]
    fn a_number_that_is_to_be_whole_is_read_as_far_as_it_is() {
        for (number, bytes, ms) in [
            (1.9, 1, 1),
            (-1.0, 0, -1),
            (f64::INFINITY, u64::MAX, i64::MAX),
            (f64::NAN, 0, 0),
            (2e9, 2_000_000_000, 2_000_000_000),
        ] {
            let number = Json::Number(number);
            assert_eq!((u64::deserialize(&number).unwrap(), i64::deserialize(&number).unwrap()), (bytes, ms));
        }
        assert!(u64::deserialize(&Json::Text("1".to_owned())).is_err());
    }

    #[test]
    fn a_number_keeps_the_text_that_the_host_gives_it() {
        let cost = |number: Json| {
            let tree = Json::Object(vec![("name".to_owned(), Json::Text(String::new())), ("cost".to_owned(), number)]);
            Sample::deserialize(&tree).unwrap().cost
        };
        assert_eq!(cost(Json::Decimal(1e21, "1e+21".to_owned())).as_deref(), Some("1e+21"));
        assert_eq!(cost(Json::Number(-0.0)).as_deref(), Some("0"));
        assert_eq!(cost(Json::Number(12.0)).as_deref(), Some("12"));
    }
}
