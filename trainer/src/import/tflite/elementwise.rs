//! Operators of one or two operands, element by element, and normalisations over the last axis.

use super::build::Stop;
use super::call::Call;
use crate::graph::{Pin, ValueId};
use crate::ops::{
    Activation, Add, Div, L2Normalize, LogSoftmax, MinMax, Mul, PRelu, Softmax, SquaredDifference, Sub,
    Unary, UnaryFn,
};
use dunlin::quant::QParams;
use tract_tflite::tflite::{ActivationFunctionType, BuiltinOperator as B};

/// What an L2 normalisation writes: −1 to 127/128.
const NORM_OUTPUT: QParams = QParams { scale: 1.0 / 128.0, zero_point: 0 };

impl Call<'_, '_, '_> {
    /// Both operands of a binary operator.
    fn operands(&mut self) -> Result<[ValueId; 2], Stop> {
        let operands = [self.value(0)?, self.value(1)?];
        self.integers_only(operands[0])?;
        Ok(operands)
    }

    /// The fused activation where there are options, else none.
    fn fused(&self, function: Option<ActivationFunctionType>) -> Result<Activation, Stop> {
        function.map_or(Ok(Activation::None), |f| self.activation(f))
    }

    pub(super) fn sum(&mut self) -> Result<(), Stop> {
        let o = self.op().builtin_options_as_add_options();
        let fused = self.fused(o.map(|o| o.fused_activation_function()))?;
        let x = self.operands()?;
        self.push(Add { fused }, &x)
    }

    pub(super) fn sub(&mut self) -> Result<(), Stop> {
        let o = self.op().builtin_options_as_sub_options();
        let fused = self.fused(o.map(|o| o.fused_activation_function()))?;
        let x = self.operands()?;
        self.push(Sub { fused }, &x)
    }

    pub(super) fn mul(&mut self) -> Result<(), Stop> {
        let o = self.op().builtin_options_as_mul_options();
        let fused = self.fused(o.map(|o| o.fused_activation_function()))?;
        let x = self.operands()?;
        self.push(Mul { fused }, &x)
    }

    pub(super) fn div(&mut self) -> Result<(), Stop> {
        let o = self.op().builtin_options_as_div_options();
        let fused = self.fused(o.map(|o| o.fused_activation_function()))?;
        let x = self.operands()?;
        self.push(Div { fused }, &x)
    }

    pub(super) fn squared_difference(&mut self) -> Result<(), Stop> {
        let x = self.operands()?;
        self.push(SquaredDifference, &x)
    }

    /// The larger or smaller of the integers: the reference does not look at scales.
    pub(super) fn min_max(&mut self, largest: bool) -> Result<(), Stop> {
        let [a, b] = self.operands()?;
        let x = [self.moved(a, 0)?, self.moved(b, 0)?];
        self.push(MinMax { largest }, &x)
    }

    /// A sum of any number of operands, two at a time.
    pub(super) fn add_n(&mut self) -> Result<(), Stop> {
        let count = self.input_count();
        let pin = self.builder.pin(self.output_id(0)?);
        if count == 0 {
            return Err(self.broken("it has no input"));
        }
        if pin.is_some() {
            return Err(Stop::refused(
                "the reference kernel of quantised tensors adds up raw integers",
                "ADD",
            ));
        }
        let mut sum = self.value(0)?;
        for k in 1..count {
            let x = self.value(k)?;
            let name = if k + 1 == count { self.name.clone() } else { format!("{}.{k}", self.name) };
            sum = self.add(&name, Add::default(), &[sum, x], None)?;
        }
        self.give(0, sum)
    }

    pub(super) fn prelu(&mut self) -> Result<(), Stop> {
        let x = self.value(0)?;
        self.integers_only(x)?;
        let slopes = self.required(1)?;
        if !self.builder.is_constant(slopes) {
            return Err(Stop::refused(
                "slopes that are computed while the model runs",
                "make them constants",
            ));
        }
        let shape = self.tensor(slopes).shape();
        self.push(PRelu { slopes: shape }, &[x])?;
        self.set_layer(&[slopes])
    }

    pub(super) fn softmax(&mut self) -> Result<(), Stop> {
        let beta = self.op().builtin_options_as_softmax_options().map_or(1.0, |o| o.beta());
        let x = self.value(0)?;
        self.integers_only(x)?;
        self.push(Softmax { beta }, &[x])
    }

    pub(super) fn log_softmax(&mut self) -> Result<(), Stop> {
        let x = self.value(0)?;
        self.integers_only(x)?;
        self.push(LogSoftmax, &[x])
    }

    pub(super) fn l2_normalization(&mut self) -> Result<(), Stop> {
        let o = self.op().builtin_options_as_l2_norm_options();
        if self.fused(o.map(|o| o.fused_activation_function()))? != Activation::None {
            return Err(Stop::refused("a fused activation", "an operator of its own behind it"));
        }
        let x = self.value(0)?;
        self.integers_only(x)?;
        // The reference gives 1/128 and zero, whatever the file says of the output.
        let pin = self.builder.pin(self.output_id(0)?).map(|p| Pin { quant: NORM_OUTPUT, ..p });
        let name = self.name.clone();
        let y = self.add(&name, L2Normalize, &[x], pin)?;
        let y = self.moved(y, 0)?;
        self.give(0, y)
    }

    pub(super) fn unary(&mut self) -> Result<(), Stop> {
        let op = self.op();
        let function = match self.kind() {
            B::ABS => UnaryFn::Abs,
            B::NEG => UnaryFn::Neg,
            B::SQUARE => UnaryFn::Square,
            B::SQRT => UnaryFn::Sqrt,
            B::RSQRT => UnaryFn::Rsqrt,
            B::EXP => UnaryFn::Exp,
            B::LOG => UnaryFn::Log,
            B::LOGISTIC => UnaryFn::Sigmoid,
            B::TANH => UnaryFn::Tanh,
            B::RELU => UnaryFn::Relu,
            B::RELU6 => return self.relu6(),
            B::RELU_N1_TO_1 => UnaryFn::Clamp { lo: -1.0, hi: 1.0 },
            B::RELU_0_TO_1 => UnaryFn::Clamp { lo: 0.0, hi: 1.0 },
            B::HARD_SWISH => UnaryFn::HardSwish,
            B::LEAKY_RELU => {
                let o = self.options(op.builtin_options_as_leaky_relu_options())?;
                if !o.alpha().is_finite() {
                    return Err(self.broken(format!("slope {} is not a number", o.alpha())));
                }
                UnaryFn::LeakyRelu { alpha: o.alpha() }
            }
            B::ELU => UnaryFn::Elu { alpha: 1.0 },
            B::GELU if op.builtin_options_as_gelu_options().is_some_and(|o| o.approximate()) => {
                UnaryFn::GeluTanh
            }
            _ => UnaryFn::Gelu,
        };
        let x = self.value(0)?;
        self.integers_only(x)?;
        self.push(Unary { function }, &[x])
    }

    /// `RELU6` of int8 and int16 clamps with the input's scale and copies; of uint8 it changes the scale.
    fn relu6(&mut self) -> Result<(), Stop> {
        let x = self.value(0)?;
        self.integers_only(x)?;
        let relu = Unary { function: UnaryFn::Relu6 };
        let Some(pin) = self.builder.graph.value(x).pin.filter(|p| p.scheme == crate::graph::Scheme::Int8)
        else {
            return self.push(relu, &[x]);
        };
        let name = self.name.clone();
        let same = Some(pin) == self.builder.pin(self.output_id(0)?);
        let clamped = self.add(&if same { name } else { format!("{name}.clamp") }, relu, &[x], Some(pin))?;
        let value = self.moved(clamped, 0)?;
        self.give(0, value)
    }
}
