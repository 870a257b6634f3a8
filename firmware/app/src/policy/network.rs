//! A network as a policy: observations in, actions out.

use dunlin::format::DType;
use dunlin::{Session, SessionError};

use super::Fault;

/// How a network sees an observation: `(x - centre) / spread` of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation<'a> {
    /// What is subtracted; one for all elements where there is one.
    pub centre: &'a [f32],
    /// What is divided by then, positive; one for all elements where there is one.
    pub spread: &'a [f32],
}

impl Normalisation<'_> {
    /// Observations as they are.
    pub const NONE: Normalisation<'static> = Normalisation { centre: &[0.0], spread: &[1.0] };

    /// Whether it suits observations of `len` elements.
    fn suits(&self, len: usize) -> bool {
        let lengths = [self.centre.len(), self.spread.len()].iter().all(|&n| n == 1 || n == len);
        let numbers = self.centre.iter().all(|x| x.is_finite())
            && self.spread.iter().all(|x| x.is_finite() && *x > 0.0);
        lengths && numbers
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionSpace<'a> {
    /// One of so many.
    Discrete(usize),
    /// One number for each bound, within `[-bound, bound]`.
    Continuous(&'a [f32]),
}

impl ActionSpace<'_> {
    /// Outputs of a network that acts so: scores of the actions, or the numbers.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Discrete(actions) => *actions,
            Self::Continuous(bounds) => bounds.len(),
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    /// One of the actions.
    Discrete(usize),
    /// Numbers within their bounds.
    Continuous(&'a [f32]),
}

/// Why a network does not serve as a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serve", derive(defmt::Format))]
pub enum Unfit {
    /// The model has other inputs or outputs.
    Model(SessionError),
    /// The model has more than one input, or rows without a fixed number.
    Inputs,
    /// The first input is of another type than i8 and f32.
    Input(DType),
    /// The first output is of another type than i8 and f32, or not a label of one of several actions, u8.
    Output(DType),
    /// The first output has another number of elements.
    Outputs {
        /// As many has the model.
        found: usize,
        /// As many has the space of actions.
        expected: usize,
    },
    /// There is not so much memory, in elements of f32.
    Memory {
        /// As many are needed.
        expected: usize,
        /// As many were given.
        found: usize,
    },
    /// Of the normalisation there are neither one number nor as many as elements, one is infinite or none, or a spread is not
    /// positive.
    Normalisation,
    /// A bound is negative, infinite or none, or there is no action at all.
    Bounds,
    /// The period has no tick of the clock, or half of all there are.
    Period,
}

/// A network with what belongs to it as a policy.
pub struct Policy<'a, 'm> {
    session: Session<'a, 'm>,
    normalisation: Normalisation<'a>,
    space: ActionSpace<'a>,
    observation: &'a mut [f32],
    numbers: &'a mut [f32],
    /// Of the first input; none where it is real.
    input: Option<dunlin::quant::QParams>,
    /// Of the first output; none where it is real, or a label.
    output: Option<dunlin::quant::QParams>,
    /// Whether the network gives the action itself.
    label: bool,
}

impl<'a, 'm> Policy<'a, 'm> {
    /// Elements of f32 that [`Self::new`] needs for a network with so many inputs.
    pub fn memory(inputs: usize, space: &ActionSpace<'_>) -> usize {
        match space {
            ActionSpace::Discrete(_) => inputs,
            ActionSpace::Continuous(bounds) => inputs + bounds.len(),
        }
    }

    /// A policy whose first input is the observation, and whose first output has scores of the actions, the numbers, or the
    /// action. `memory` is for the observation and the numbers. What persists in the session stays as it is until
    /// [`Self::reset`].
    ///
    /// # Errors
    /// The network has another form, or what comes with it does.
    pub fn new(
        mut session: Session<'a, 'm>,
        normalisation: Normalisation<'a>,
        space: ActionSpace<'a>,
        memory: &'a mut [f32],
    ) -> Result<Self, Unfit> {
        let model = session.model();
        let (Some(input), Some(output)) = (model.inputs().next(), model.outputs().next()) else {
            return Err(Unfit::Inputs);
        };
        let (input, output) = (*input, *output);
        if model.inputs().len() != 1 || !model.dims().is_empty() {
            return Err(Unfit::Inputs);
        }
        let inputs = input.shape.elements();
        let input = match input.dtype {
            DType::I8 => Some(input.quant),
            DType::F32 => None,
            other => return Err(Unfit::Input(other)),
        };
        let (outputs, label) = (output.shape.elements(), output.dtype == DType::U8);
        let output = match (output.dtype, &space) {
            (DType::I8, _) => Some(output.quant),
            (DType::F32, _) | (DType::U8, ActionSpace::Discrete(_)) => None,
            (other, _) => return Err(Unfit::Output(other)),
        };
        let expected = if label { 1 } else { space.outputs() };
        if outputs != expected {
            return Err(Unfit::Outputs { found: outputs, expected });
        }
        let bounded = match space {
            ActionSpace::Discrete(actions) => actions > 0,
            ActionSpace::Continuous(bounds) => {
                !bounds.is_empty() && bounds.iter().all(|b| b.is_finite() && *b >= 0.0)
            }
        };
        if !bounded {
            return Err(Unfit::Bounds);
        }
        if !normalisation.suits(inputs) {
            return Err(Unfit::Normalisation);
        }
        let (expected, found) = (Self::memory(inputs, &space), memory.len());
        let memory = memory.get_mut(..expected).ok_or(Unfit::Memory { expected, found })?;
        let (observation, numbers) = memory.split_at_mut(inputs);
        // Both are there, and of these types: nothing below can fail.
        match input {
            Some(_) => session.input_mut::<i8>(0).map(|_| ()),
            None => session.input_mut::<f32>(0).map(|_| ()),
        }
        .map_err(Unfit::Model)?;
        Ok(Self { session, normalisation, space, observation, numbers, input, output, label })
    }

    /// The session.
    pub fn session(&self) -> &Session<'a, 'm> {
        &self.session
    }

    /// Where the observation goes.
    pub fn observation(&mut self) -> &mut [f32] {
        self.observation
    }

    /// Forgets what the network remembers: an episode begins.
    pub fn reset(&mut self) {
        self.session.reset_state();
    }

    /// What to do on the observation. Where it is refused, the network has not been run and remembers nothing of it.
    ///
    /// # Errors
    /// [`Fault::NotFinite`].
    pub fn decide(&mut self) -> Result<Action<'_>, Fault> {
        self.sense()?;
        self.session.run();
        self.act()
    }

    /// Normalises the observation into the network's input.
    fn sense(&mut self) -> Result<(), Fault> {
        let Normalisation { centre, spread } = self.normalisation;
        let observation = self.observation.iter();
        // The lengths were compared: one for all, or one for each.
        let pick = |numbers: &[f32], i: usize| if numbers.len() == 1 { numbers[0] } else { numbers[i] };
        let normalised = observation.enumerate().map(|(i, &x)| (x - pick(centre, i)) / pick(spread, i));
        let finite = self.observation.iter().all(|x| x.is_finite());
        if !finite {
            return Err(Fault::NotFinite);
        }
        match self.input {
            Some(quant) => {
                let input = self.session.input_mut::<i8>(0).unwrap_or(&mut []);
                input.iter_mut().zip(normalised).for_each(|(q, x)| *q = quant.quantize(x));
            }
            None => {
                let input = self.session.input_mut::<f32>(0).unwrap_or(&mut []);
                input.iter_mut().zip(normalised).for_each(|(slot, x)| *slot = x);
            }
        }
        Ok(())
    }

    /// What the network's output says.
    fn act(&mut self) -> Result<Action<'_>, Fault> {
        let Some(quant) = self.output else {
            return self.act_on_real();
        };
        let values = self.session.output::<i8>(0).unwrap_or(&[]);
        match self.space {
            ActionSpace::Discrete(_) => Ok(Action::Discrete(first_largest(values))),
            ActionSpace::Continuous(bounds) => {
                let numbers = self.numbers.iter_mut().zip(values).zip(bounds);
                numbers.for_each(|((number, &q), &bound)| *number = limit(quant.dequantize(q), bound));
                Ok(Action::Continuous(self.numbers))
            }
        }
    }

    fn act_on_real(&mut self) -> Result<Action<'_>, Fault> {
        if self.label {
            let label = self.session.output::<u8>(0).ok().and_then(|labels| labels.first());
            return Ok(Action::Discrete(label.map_or(0, |&label| label.into())));
        }
        let values = self.session.output::<f32>(0).unwrap_or(&[]);
        if !values.iter().all(|x| x.is_finite()) {
            return Err(Fault::NotFinite);
        }
        match self.space {
            ActionSpace::Discrete(_) => Ok(Action::Discrete(first_largest(values))),
            ActionSpace::Continuous(bounds) => {
                let numbers = self.numbers.iter_mut().zip(values).zip(bounds);
                numbers.for_each(|((number, &x), &bound)| *number = limit(x, bound));
                Ok(Action::Continuous(self.numbers))
            }
        }
    }
}

/// Where the largest is, the first of equals.
fn first_largest<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

/// `x` within `[-bound, bound]`.
fn limit(x: f32, bound: f32) -> f32 {
    if x > bound {
        bound
    } else if x < -bound {
        -bound
    } else {
        x
    }
}
