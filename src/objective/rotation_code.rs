//! What tells SimTROT's projector how a volume was rotated (`pretrain.rotation_code`); not the paper's.
//!
//! Restoring puts the tokens of a rotated view back in their places; what lies in a token's block stays rotated. A projector that is not
//! told makes the contrast ask for tokens that are the same whichever way up their blocks lay. Told, it can make the projections agree
//! where the tokens do not.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::geometry::SignedPermutation;
use crate::nn::{Initialiser, Linear};

/// A learned vector for each of the 47 rotations other than the identity, all 0 at first: the projector starts as one that is not told.
///
/// The identity has none and adds 0. A vector of its own would shift what all others are relative to, which the bias of the hidden
/// layer does already; so upright volumes pass the projector as it is. A rotation that is never drawn keeps a code of 0.
#[derive(Module, Debug)]
pub struct RotationCode {
    /// `[47, hidden]`: a row for each of [`SignedPermutation::all`] after the identity.
    pub codes: Linear,
}

impl RotationCode {
    /// For a hidden layer of `hidden` channels.
    pub fn init(hidden: usize, init: &Initialiser<'_>) -> Self {
        let rotations = SignedPermutation::all().len() - 1;
        Self { codes: Linear { weight: init.constant([rotations, hidden], 0.0), bias: None } }
    }

    /// The code of each volume's rotation, `[volumes, 1, hidden]`, to be added to the hidden layer of each of its tokens.
    pub fn forward(&self, rotations: &[SignedPermutation]) -> Tensor<3> {
        let all = SignedPermutation::all();
        let row = |rotation: &SignedPermutation| all[1..].iter().map(|other| f32::from(u8::from(other == rotation))).collect::<Vec<_>>();
        let rows: Vec<f32> = rotations.iter().flat_map(row).collect();
        let device = self.codes.weight.val().device();
        self.codes.forward(Tensor::from_data(TensorData::new(rows, [rotations.len(), 1, all.len() - 1]), &device))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::activation::relu;

    use super::*;
    use crate::config::ProjectorConfig;
    use crate::device::for_tests;
    use crate::model::Projector;

    /// The third of three volumes was rotated by the only element whose code is not 0: its tokens pass a projector whose hidden layer has
    /// another bias, those of the others the projector as it is.
    #[test]
    fn a_code_shifts_the_hidden_layer_of_its_rotation_s_volumes_alone() {
        const HIDDEN: usize = 6;
        let rotations = [SignedPermutation::IDENTITY, SignedPermutation::rot90(3, [0, 2]), SignedPermutation::POINT_REFLECTION];
        let shift: Vec<f32> = (0..HIDDEN).map(|channel| 0.5 - 0.25 * channel as f32).collect();
        for (name, device) in for_tests() {
            let init = Initialiser::new(4, &device);
            let config = ProjectorConfig { hidden: Some(HIDDEN), output: Some(3), ..ProjectorConfig::default() };
            let projector = Projector::init(&config, 5, &init);
            let mut code = RotationCode::init(HIDDEN, &init);
            let tokens: Vec<f32> = (0..3 * 4 * 5).map(|value| ((value * 7 % 11) as f32 - 5.0) / 4.0).collect();
            let tokens = Tensor::<3>::from_data(TensorData::new(tokens, [3, 4, 5]), &device);
            let plain = projector.forward(tokens.clone());
            let host = |tensor: Tensor<3>| tensor.into_data().try_into_vec::<f32>().unwrap();
            let told = |code: &RotationCode| host(projector.forward_shifted(tokens.clone(), Some(code.forward(&rotations))));
            assert_eq!(told(&code), host(plain.clone()), "{name}: at first");

            let mut codes = vec![0.0; 47 * HIDDEN];
            let row = SignedPermutation::all().iter().position(|other| *other == rotations[2]).unwrap() - 1;
            codes[row * HIDDEN..][..HIDDEN].copy_from_slice(&shift);
            code.codes.weight = Param::from_data(TensorData::new(codes, [47, HIDDEN]), &device);
            let hidden =
                projector.fc1.forward(tokens.clone()) + Tensor::<3>::from_data(TensorData::new(shift.clone(), [1, 1, HIDDEN]), &device);
            let shifted = projector.fc2.forward(relu(hidden));
            assert_eq!(told(&code), [host(plain.clone().narrow(0, 0, 2)), host(shifted.narrow(0, 2, 1))].concat(), "{name}");
            assert_ne!(told(&code), host(plain), "{name}");
        }
    }
}
