//! A serde serialiser that writes Rust: any value of the format's tables as a constant expression.
//!
//! Serde gives the names of types, fields and variants, so a new operator needs nothing here. What serde does not
//! give is the module of a type: structs are found by name in [`module`], and the attributes of an operator,
//! which may share the name of another struct, by standing directly under a variant of `Op`.

use serde::ser::{self, Impossible, Serialize, SerializeStruct, SerializeStructVariant, SerializeTuple};
use std::fmt;

/// The text of a constant expression for `value`.
///
/// # Errors
/// The value has a part that no table of the format has (a map, a string, a unit struct).
pub(crate) fn expression<T: Serialize>(value: &T) -> Result<String, Error> {
    value.serialize(Rust { attributes: false })
}

/// Why a value cannot be written.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Module of `dunlin` that a type of the tables is in.
fn module(name: &str) -> &'static str {
    match name {
        "Tensor" | "Node" | "DType" | "Place" | "Blob" | "Ids" | "Scratch" => "format",
        "QParams" | "Requant" | "Clamp" => "quant",
        "Shape" | "Window" | "Pad" => "shape",
        // Operators and what they are made of.
        _ => "ops",
    }
}

fn unsupported<T>(what: &str) -> Result<T, Error> {
    Err(Error(format!("{what} cannot be written as a constant")))
}

struct Rust {
    /// The value stands directly under a variant of `Op`.
    attributes: bool,
}

impl Rust {
    fn path(&self, name: &str) -> String {
        let module = if self.attributes { "ops" } else { module(name) };
        format!("::dunlin::{module}::{name}")
    }
}

macro_rules! literal {
    ($($method:ident: $t:ty),*) => {
        $(fn $method(self, value: $t) -> Result<String, Error> {
            Ok(format!("{value}"))
        })*
    };
}

impl ser::Serializer for Rust {
    type Ok = String;
    type Error = Error;
    type SerializeSeq = Impossible<String, Error>;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Impossible<String, Error>;
    type SerializeTupleVariant = Impossible<String, Error>;
    type SerializeMap = Impossible<String, Error>;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    literal! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_f32(self, value: f32) -> Result<String, Error> {
        // By its bits: no decimal notation stands between the file and the program.
        Ok(format!("f32::from_bits({:#x})", value.to_bits()))
    }

    fn serialize_f64(self, value: f64) -> Result<String, Error> {
        Ok(format!("f64::from_bits({:#x})", value.to_bits()))
    }

    fn serialize_none(self) -> Result<String, Error> {
        Ok("::core::option::Option::None".to_owned())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Error> {
        Ok(format!("::core::option::Option::Some({})", value.serialize(Rust { attributes: false })?))
    }

    fn serialize_unit_variant(self, name: &str, _: u32, variant: &str) -> Result<String, Error> {
        Ok(format!("{}::{variant}", self.path(name)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Result<String, Error> {
        Ok(format!("{}({})", self.path(name), value.serialize(Rust { attributes: false })?))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &str,
        _: u32,
        variant: &str,
        value: &T,
    ) -> Result<String, Error> {
        let attributes = name == "Op";
        Ok(format!("{}::{variant}({})", self.path(name), value.serialize(Rust { attributes })?))
    }

    fn serialize_struct(self, name: &str, _: usize) -> Result<Parts, Error> {
        Ok(Parts { text: format!("{} {{", self.path(name)), close: "}" })
    }

    fn serialize_struct_variant(self, name: &str, _: u32, variant: &str, _: usize) -> Result<Parts, Error> {
        Ok(Parts { text: format!("{}::{variant} {{", self.path(name)), close: "}" })
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, Error> {
        // Serde gives arrays as tuples; the tables hold no other tuples.
        Ok(Parts { text: "[".to_owned(), close: "]" })
    }

    fn serialize_char(self, _: char) -> Result<String, Error> {
        unsupported("a character")
    }

    fn serialize_str(self, _: &str) -> Result<String, Error> {
        unsupported("a string")
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<String, Error> {
        unsupported("a byte string")
    }

    fn serialize_unit(self) -> Result<String, Error> {
        unsupported("the unit")
    }

    fn serialize_unit_struct(self, name: &str) -> Result<String, Error> {
        Ok(self.path(name))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        unsupported("a sequence")
    }

    fn serialize_tuple_struct(self, name: &str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        unsupported(name)
    }

    fn serialize_tuple_variant(
        self,
        name: &str,
        _: u32,
        _: &str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        unsupported(name)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        unsupported("a map")
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<String, Error> {
        unsupported("a string")
    }
}

/// Fields or elements of a value, as far as they are written.
struct Parts {
    text: String,
    close: &'static str,
}

impl Parts {
    fn push<T: Serialize + ?Sized>(&mut self, name: Option<&str>, value: &T) -> Result<(), Error> {
        let value = value.serialize(Rust { attributes: false })?;
        let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
        self.text.push_str(&format!("{name}{value},"));
        Ok(())
    }
}

impl SerializeStruct for Parts {
    type Ok = String;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.push(Some(key), value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.text + self.close)
    }
}

impl SerializeStructVariant for Parts {
    type Ok = String;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.push(Some(key), value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.text + self.close)
    }
}

impl SerializeTuple for Parts {
    type Ok = String;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(None, value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.text + self.close)
    }
}
