//! Which function an address belongs to.

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SegmentFlags, SymbolKind, elf};

/// The functions of an ELF file.
pub(crate) struct Symbols {
    /// First address, first address after, name; sorted, not overlapping in what matters.
    functions: Vec<(u64, u64, String)>,
    /// What loading added to every address of the file.
    bias: u64,
}

impl Symbols {
    /// Reads the symbol table of `bytes`. `start_code` is where the first executable segment was loaded, or 0 if the
    /// addresses are those of the file.
    pub(crate) fn read(bytes: &[u8], start_code: u64) -> Result<Self, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        let code = file.segments().filter(|segment| match segment.flags() {
            SegmentFlags::Elf { p_flags } => p_flags & elf::PF_X != 0,
            _ => false,
        });
        let first = code.map(|segment| segment.address()).min().unwrap_or(0);
        let bias = if start_code == 0 { 0 } else { start_code.wrapping_sub(first) };
        // The lowest bit of a Thumb function's address says that it is Thumb.
        let odd = u64::from(!file.is_64());
        let symbols = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
        let mut functions: Vec<_> = symbols
            .map(|symbol| {
                let start = symbol.address() & !odd;
                let name = rustc_demangle::demangle(symbol.name().unwrap_or("?"));
                (start, start + symbol.size(), format!("{name:#}"))
            })
            .collect();
        functions.sort();
        Ok(Self { functions, bias })
    }

    /// The function at `address`.
    pub(crate) fn function(&self, address: u64) -> &str {
        let address = address.wrapping_sub(self.bias);
        let after = self.functions.partition_point(|(start, ..)| *start <= address);
        match self.functions[..after].last() {
            Some((_, end, name)) if address < *end => name,
            _ => "(no symbol)",
        }
    }
}
