//! One node of the file: its attributes, read with their types checked.

use super::constant::Constant;
use super::fail::Fail;
use super::tensor;
use std::cell::RefCell;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};

/// A node, with a record of which attributes were read: one that no importer knows is not skipped in silence.
pub(super) struct Node<'a> {
    /// Name shown to people and used in the graph.
    pub(super) name: String,
    /// Operator.
    pub(super) op: &'a str,
    /// Whether it is of a domain other than ONNX's own.
    pub(super) foreign: bool,
    /// Version of the operator set it belongs to.
    pub(super) opset: i64,
    proto: &'a NodeProto,
    read: RefCell<Vec<&'a str>>,
}

impl<'a> Node<'a> {
    pub(super) fn new(proto: &'a NodeProto, name: String, foreign: bool, opset: i64) -> Self {
        Self { name, op: &proto.op_type, foreign, opset, proto, read: RefCell::default() }
    }

    /// Operator with domain and version, for people.
    pub(super) fn title(&self) -> String {
        let (op, opset) = (self.op, self.opset);
        if self.foreign { format!("{}:{op}", self.proto.domain) } else { format!("{op}-{opset}") }
    }

    /// Name of input `i`; `None` where it is left out.
    pub(super) fn input(&self, i: usize) -> Option<&'a str> {
        self.proto.input.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Number of inputs, those left out in between included.
    pub(super) fn inputs(&self) -> usize {
        self.proto.input.len()
    }

    /// Name of output `i`; `None` where nobody wants it.
    pub(super) fn output(&self, i: usize) -> Option<&'a str> {
        self.proto.output.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Number of outputs.
    pub(super) fn outputs(&self) -> usize {
        self.proto.output.len()
    }

    fn find(&self, name: &str, expected: AttributeType) -> Result<Option<&'a AttributeProto>, Fail> {
        let Some(found) = self.proto.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        self.read.borrow_mut().push(&found.name);
        // Files of the first IR versions carry no type.
        if found.r#type != expected as i32 && found.r#type != 0 {
            let want = expected.as_str_name();
            let have = AttributeType::try_from(found.r#type).map_or("unknown", |t| t.as_str_name());
            return Err(Fail::malformed(format!("attribute `{name}` must be {want} but is {have}")));
        }
        if !found.ref_attr_name.is_empty() {
            return Err(Fail::unsupported(
                format!("attribute `{name}` refers to an attribute of a function"),
                "inline the model's functions",
            ));
        }
        Ok(Some(found))
    }

    /// An integer.
    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, Fail> {
        Ok(self.find(name, AttributeType::Int)?.map(|a| a.i))
    }

    /// An integer that is 0 or 1; 0 where absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fail> {
        self.int_or(name, 0).map(|i| i != 0)
    }

    /// An integer, or its default.
    pub(super) fn int_or(&self, name: &str, default: i64) -> Result<i64, Fail> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// Integers.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Fail> {
        Ok(self.find(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    /// A real number, or its default.
    pub(super) fn float_or(&self, name: &str, default: f32) -> Result<f32, Fail> {
        Ok(self.find(name, AttributeType::Float)?.map_or(default, |a| a.f))
    }

    /// A real number where it is given.
    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, Fail> {
        Ok(self.find(name, AttributeType::Float)?.map(|a| a.f))
    }

    /// Real numbers.
    pub(super) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Fail> {
        Ok(self.find(name, AttributeType::Floats)?.map(|a| a.floats.as_slice()))
    }

    /// A string, or its default.
    pub(super) fn string_or<'s>(&self, name: &str, default: &'s str) -> Result<&'s str, Fail>
    where
        'a: 's,
    {
        let Some(found) = self.find(name, AttributeType::String)? else { return Ok(default) };
        std::str::from_utf8(&found.s).map_err(|_| Fail::malformed(format!("attribute `{name}` is not UTF-8")))
    }

    /// Strings.
    pub(super) fn strings(&self, name: &str) -> Result<Vec<&'a str>, Fail> {
        let Some(found) = self.find(name, AttributeType::Strings)? else { return Ok(Vec::new()) };
        let texts: Result<Vec<&str>, _> = found.strings.iter().map(|s| std::str::from_utf8(s)).collect();
        texts.map_err(|_| Fail::malformed(format!("attribute `{name}` is not UTF-8")))
    }

    /// A tensor.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Constant>, Fail> {
        let Some(found) = self.find(name, AttributeType::Tensor)? else { return Ok(None) };
        let stored =
            found.t.as_ref().ok_or_else(|| Fail::malformed(format!("attribute `{name}` is empty")))?;
        tensor::read(stored).map(Some)
    }

    /// An attribute that makes no difference here.
    pub(super) fn ignore(&self, name: &str) {
        if let Some(found) = self.proto.attribute.iter().find(|a| a.name == name) {
            self.read.borrow_mut().push(&found.name);
        }
    }

    /// That no attribute was left unread.
    pub(super) fn check_attributes(&self) -> Result<(), Fail> {
        let read = self.read.borrow();
        match self.proto.attribute.iter().find(|a| !read.contains(&a.name.as_str())) {
            None => Ok(()),
            Some(a) => Err(Fail::unsupported(format!("attribute `{}` is not known", a.name), "leave it out")),
        }
    }

    /// That there are from `least` to `most` inputs, the first `least` of them given.
    pub(super) fn check_inputs(&self, least: usize, most: usize) -> Result<(), Fail> {
        let found = self.inputs();
        if let Some(i) = (0..least).find(|i| self.input(*i).is_none()) {
            return Err(Fail::malformed(format!("input {i} is missing; it has {found}")));
        }
        if found > most {
            return Err(Fail::malformed(format!("{found} inputs; it takes at most {most}")));
        }
        Ok(())
    }
}
