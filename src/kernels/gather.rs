//! What the devices that share a batch know together: their tensors side by side, and means over all of them.
//!
//! Each device then computes the whole batch's loss, of which only its own share leads back into its copy of the network. The mean of the
//! devices' gradients is that of the whole batch if each counts its own share as often as there are devices, which is what the backward
//! pass here does; what comes behind the gathering, such as a projector, has the whole gradient on each device, and its mean is the same.

use burn::tensor::{Tensor, TensorData};

use super::custom_gradient::{InputGradients, custom_gradient};
use crate::device::Peers;

/// The shares of all devices, in their order, one behind the other along axis `axis`; all of one shape.
pub fn gather<const D: usize>(own: Tensor<D>, axis: usize, peers: &Peers) -> Tensor<D> {
    if peers.count() == 1 {
        return own;
    }
    custom_gradient((own,), |(own,): (Tensor<D>,)| {
        let (device, length) = (own.device(), own.dims()[axis]);
        let shares = peers.exchange(own.clone().into_data());
        let whole = shares
            .iter()
            .enumerate()
            .map(|(place, share)| if place == peers.place() { own.clone() } else { Tensor::from_data(TensorData::clone(share), &device) });
        let (first, count) = (peers.place() * length, peers.count() as f64);
        let backward = move |grad: Tensor<D>, gradients: &mut InputGradients| gradients.put(0, || grad.narrow(axis, first, length) * count);
        (Tensor::cat(whole.collect(), axis), backward)
    })
}

/// The mean over the devices of a tensor without graph.
pub fn mean_over_devices<const D: usize>(own: Tensor<D>, peers: &Peers) -> Tensor<D> {
    if peers.count() == 1 {
        return own;
    }
    let device = own.device();
    let shares = peers.exchange(own.into_data());
    // In the order of the devices on each of them: all go on with the same bytes.
    let sum = shares.iter().map(|share| Tensor::from_data(TensorData::clone(share), &device)).reduce(|sum: Tensor<D>, share| sum + share);
    sum.expect("every device brings its share") / peers.count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    /// A loss of all four rows, of which each of two devices has two: `sum of (row times its number, counted from 1)²`.
    #[test]
    fn rows_stand_in_the_order_of_the_devices_and_the_mean_gradient_is_that_of_all() {
        for (name, device) in for_tests() {
            let rows = [[1.0_f32, -2.0], [3.0, 0.5], [-1.0, 4.0], [2.0, 2.0]];
            let work = |peers: Peers| {
                let device = device.clone().autodiff();
                let own = Tensor::<2>::from_data([rows[2 * peers.place()], rows[2 * peers.place() + 1]], &device).require_grad();
                let whole = gather(own.clone(), 0, &peers);
                let numbers = Tensor::<2>::from_data([[1.0_f32], [2.0], [3.0], [4.0]], &device);
                let gradient = own.grad(&(whole.clone() * numbers).square().sum().backward()).unwrap();
                let mean = mean_over_devices(own.inner(), &peers);
                [whole.inner().into_data(), gradient.into_data(), mean.into_data()].map(|data| data.iter::<f32>().collect::<Vec<_>>())
            };
            std::thread::scope(|scope| {
                let work = &work;
                let at_work: Vec<_> = Peers::of(2).into_iter().map(|peers| scope.spawn(move || work(peers))).collect();
                for (place, found) in at_work.into_iter().enumerate() {
                    let [whole, gradient, mean] = found.join().unwrap();
                    assert_eq!(whole, rows.concat(), "{name}");
                    let slope = |row: usize, column: usize| 2.0 * 2.0 * rows[row][column] * ((row + 1) * (row + 1)) as f32;
                    let own = 2 * place;
                    assert_eq!(gradient, [slope(own, 0), slope(own, 1), slope(own + 1, 0), slope(own + 1, 1)], "{name}");
                    assert_eq!(mean, [0.0, 1.0, 2.5, 1.25], "{name}");
                }
            });
        }
    }
}
