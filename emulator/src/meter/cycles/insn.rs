//! What the models need of an instruction.

/// Which part of a core an instruction occupies, as far as the models tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Arithmetic of one step.
    Alu,
    /// Arithmetic that first shifts, extends or picks bits; packed arithmetic.
    Shifted,
    /// Multiplication, with or without accumulation.
    Mul,
    Div,
    /// A load of one register.
    Load,
    Store,
    /// A store whose address has a register offset.
    StoreIndexed,
    /// A load of `amount` registers.
    LoadMany,
    /// A store of `amount` registers.
    StoreMany,
    Branch,
    /// A branch to an address in a register.
    Indirect,
    /// A branch through a table.
    Table,
    /// A block of conditional instructions (Thumb).
    If,
    Nop,
    /// Start of a low-overhead loop.
    LoopStart,
    /// End of a low-overhead loop.
    Loop,
    /// Barriers, special registers, exceptions.
    System,
    /// Scalar floating point of one step.
    Float,
    FloatMac,
    FloatDiv,
    /// Between core and vector registers.
    Move,
    /// Vector arithmetic without multiplication.
    Vector,
    /// Vector shift.
    VectorShift,
    VectorMul,
    /// Vector multiplication into a core register (Helium), or a sum across a vector.
    VectorReduce,
    /// Dot products or matrix products of bytes (AArch64).
    VectorDot,
    /// Pairwise sum with accumulation (AArch64).
    VectorPairs,
    /// Floating point or division in vectors.
    VectorFloat,
    /// Predication of vectors.
    VectorIf,
    /// A load of `amount` vectors.
    VectorLoad,
    /// A store of `amount` vectors.
    VectorStore,
    /// A load or store of `amount` elements, each with its address.
    Gather,
}

/// A set of registers: core registers from bit 0, vector registers from bit 32.
pub(crate) type Registers = u64;

/// The vector register `number`.
pub(crate) const fn vector(number: u32) -> Registers {
    1 << (32 + (number & 31))
}

/// The core register `number`.
pub(crate) const fn core(number: u32) -> Registers {
    1 << (number & 31)
}

/// An instruction, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) unit: Unit,
    /// Registers read, those below included.
    pub(crate) reads: Registers,
    /// Registers that form an address.
    pub(crate) address: Registers,
    /// Registers to which products are added.
    pub(crate) adds: Registers,
    pub(crate) writes: Registers,
    /// Registers or elements of a multiple transfer, 2 for a product of 128 bits that is not widened (AArch64), else 1.
    pub(crate) amount: u8,
    /// Thumb: 16 bits. AArch64: a vector of 64 bits.
    pub(crate) narrow: bool,
    /// A load of less than a word.
    pub(crate) part: bool,
}

impl Insn {
    pub(crate) const fn new(unit: Unit) -> Self {
        Self { unit, reads: 0, address: 0, adds: 0, writes: 0, amount: 1, narrow: false, part: false }
    }

    pub(crate) const fn reads(mut self, registers: Registers) -> Self {
        self.reads |= registers;
        self
    }

    pub(crate) const fn at(mut self, registers: Registers) -> Self {
        self.reads |= registers;
        self.address |= registers;
        self
    }

    pub(crate) const fn adds(mut self, registers: Registers) -> Self {
        self.reads |= registers;
        self.adds |= registers;
        self
    }

    pub(crate) const fn writes(mut self, registers: Registers) -> Self {
        self.writes |= registers;
        self
    }

    pub(crate) const fn amount(mut self, amount: u32) -> Self {
        self.amount = amount as u8;
        self
    }

    pub(crate) const fn narrow(mut self, narrow: bool) -> Self {
        self.narrow = narrow;
        self
    }

    pub(crate) const fn part(mut self, part: bool) -> Self {
        self.part = part;
        self
    }

    /// Whether it goes through the memory port.
    pub(crate) const fn memory(&self) -> bool {
        matches!(
            self.unit,
            Unit::Load
                | Unit::Store
                | Unit::StoreIndexed
                | Unit::LoadMany
                | Unit::StoreMany
                | Unit::VectorLoad
                | Unit::VectorStore
                | Unit::Gather
        )
    }
}
