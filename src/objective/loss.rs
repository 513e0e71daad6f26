//! What comes of a loss: in the graph of what is trained, and as numbers.

use burn::tensor::Tensor;

/// The outcome of one batch.
#[derive(Debug)]
pub struct Loss {
    /// The loss, `[1]`, in the graph of what is trained.
    pub loss: Tensor<1>,
    /// Its value.
    pub value: f64,
    /// What it is made of, and what else says how the task goes, by name.
    pub parts: Vec<(&'static str, f64)>,
}

/// A loss whose numbers still lie on its device.
#[derive(Debug)]
pub struct LossTensors {
    /// The loss, `[1]`, in the graph of what is trained.
    pub loss: Tensor<1>,
    /// Its value and those of its parts, without graph.
    pub(super) numbers: Tensor<1>,
    /// Names of the parts.
    pub(super) parts: &'static [&'static str],
}

impl Loss {
    /// A loss that has no parts.
    pub(super) fn alone(loss: Tensor<1>) -> Self {
        let value = number(&loss);
        Self { loss, value, parts: Vec::new() }
    }

    /// The value of one of its parts.
    pub fn part(&self, name: &str) -> Option<f64> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl LossTensors {
    /// With its numbers, in one read-back.
    ///
    /// # Panics
    /// Never: there is a number for the loss and each of its parts.
    pub fn read(self) -> Loss {
        let data = self.numbers.into_data();
        let mut numbers = data.iter::<f64>();
        let value = numbers.next().expect("a loss has a value");
        let parts = self.parts.iter().copied().zip(numbers).collect();
        Loss { loss: self.loss, value, parts }
    }
}

/// The value of a tensor of one number.
pub(super) fn number(tensor: &Tensor<1>) -> f64 {
    tensor.to_data().iter::<f64>().next().expect("one number")
}
