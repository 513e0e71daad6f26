//! What comes of a loss: in the graph of what is trained, and as numbers.

use burn::tensor::Tensor;

/// The loss of one batch, all of it still on its device.
#[derive(Debug)]
pub struct Loss {
    /// The loss, `[1]`, in the graph of what is trained.
    pub loss: Tensor<1>,
    /// Its value and those of its parts, without graph, `[1 + parts]`.
    pub(super) numbers: Tensor<1>,
    /// Names of the parts: what the loss is made of, and what else says how the task goes.
    pub(super) parts: Vec<&'static str>,
}

/// The numbers of a loss.
#[derive(Clone, Debug, PartialEq)]
pub struct LossNumbers {
    /// Its value.
    pub value: f64,
    /// Its parts, by name.
    pub parts: Vec<(&'static str, f64)>,
}

impl Loss {
    /// A loss and its parts, `[1]` each.
    pub(super) fn of<const N: usize>(loss: Tensor<1>, parts: [(&'static str, Tensor<1>); N]) -> Self {
        let (names, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let numbers = std::iter::once(loss.clone()).chain(values).map(Tensor::inner).collect();
        Self { loss, numbers: Tensor::cat(numbers, 0), parts: names }
    }

    /// Its numbers, still on the device, and their names; the loss itself has none.
    pub fn unread(&self) -> (Tensor<1>, Vec<&'static str>) {
        (self.numbers.clone(), self.parts.clone())
    }

    /// Its numbers, in one read-back that waits for the device.
    pub fn numbers(&self) -> LossNumbers {
        LossNumbers::new(self.numbers.to_data().iter::<f64>(), &self.parts)
    }
}

impl LossNumbers {
    /// From the values of [`Loss::unread`].
    ///
    /// # Panics
    /// If there is no value.
    pub fn new(mut values: impl Iterator<Item = f64>, parts: &[&'static str]) -> Self {
        let value = values.next().expect("a loss has a value");
        Self { value, parts: parts.iter().copied().zip(values).collect() }
    }

    /// The value of one of its parts.
    pub fn part(&self, name: &str) -> Option<f64> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}
