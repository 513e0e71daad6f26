//! Weights with their input and output channels exchanged, for gradients with respect to inputs.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{UNITS, cubes_for, empty, position};

/// `[places, inputs, out]` -> `[places, out, input]`, the places in reverse order if `reverse`.
#[cube(launch)]
fn transpose_kernel(
    weight: &[f32],
    transposed: &mut [f32],
    places: u32,
    inputs: u32,
    out: u32,
    from: u32,
    input: u32,
    #[comptime] reverse: bool,
) {
    let at = position();
    if at < places * out * input {
        let channel = at % input;
        let rest = at / input;
        let output = rest % out;
        let mut place = rest / out;
        if comptime!(reverse) {
            place = places - 1 - place;
        }
        transposed[at as usize] = weight[((place * inputs + from + channel) * out + output) as usize];
    }
}

/// `weight` `[places, inputs, out]` as `[places, out, input]`: the inputs `from..from + input` alone, its places in reverse order if
/// `reverse`.
pub(super) fn transposed(weight: CubeTensor, shape: [usize; 3], [from, input]: [usize; 2], reverse: bool) -> CubeTensor {
    let [places, inputs, output] = shape;
    let result = empty(&weight, [places, output, input]);
    transpose_kernel::launch(
        &result.client.clone(),
        cubes_for(places * output * input),
        CubeDim::new_1d(UNITS),
        weight.into_buffer_arg(),
        result.clone().into_buffer_arg(),
        places as u32,
        inputs as u32,
        output as u32,
        from as u32,
        input as u32,
        reverse,
    );
    result
}
