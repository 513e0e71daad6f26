//! Every trainable number of a module, flattened, whatever the rank of the tensor it stands in.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, GradientCheckpointingStrategy, Shape, Tensor};

/// Path in the module (`stages.0.norm.weight`) and value, without graph, of each parameter, in the module's order.
pub fn parameters<M: Module>(module: &M) -> Vec<(String, Tensor<1>)> {
    let mut walk = Parameters { path: Vec::new(), found: Vec::new() };
    module.visit(&mut walk);
    walk.found
}

/// A parameter taken out of its module.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Path in the module: `stages.0.norm.weight`.
    pub path: String,
    /// Which gradient is its own.
    pub id: ParamId,
    /// Without graph.
    pub value: Tensor<1>,
}

/// The module with all its values replaced by what `update` makes of them, in the module's order. They are moved out of the module, so
/// that a value which nothing else holds may be updated in place.
///
/// # Panics
/// If `update` returns fewer values than it was given, or one of another length.
pub fn update_parameters<M: Module>(module: M, update: impl FnOnce(Vec<Parameter>) -> Vec<Tensor<1>>) -> M {
    let mut take = Take { path: Vec::new(), taken: Vec::new(), kinds: Vec::new() };
    let module = module.map(&mut take);
    let values = update(take.taken).into_iter();
    module.map(&mut Put { values: values.zip(take.kinds) })
}

struct Parameters {
    path: Vec<String>,
    found: Vec<(String, Tensor<1>)>,
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let length = value.shape().num_elements();
        self.found.push((self.path.join("."), value.reshape([length])));
    }
}

/// What a value is besides its numbers.
struct Kind {
    shape: Shape,
    is_tracked: bool,
    strategy: Option<GradientCheckpointingStrategy>,
}

/// Takes each value out of its parameter, where a single number of the host's stands meanwhile.
struct Take {
    path: Vec<String>,
    taken: Vec<Parameter>,
    kinds: Vec<Kind>,
}

impl ModuleMapper for Take {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        param.map(|value| {
            let (shape, strategy) = (value.shape(), value.gradient_checkpointing_strategy());
            self.kinds.push(Kind { shape: shape.clone(), is_tracked: value.is_require_grad(), strategy });
            let value = value.inner().reshape([shape.num_elements()]);
            self.taken.push(Parameter { path: self.path.join("."), id, value });
            Tensor::empty([1; D], &Device::flex())
        })
    }
}

/// Puts values into the parameters that [`Take`] has emptied.
struct Put<I> {
    values: I,
}

impl<I: Iterator<Item = (Tensor<1>, Kind)>> ModuleMapper for Put<I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (value, kind) = self.values.next().expect("a value for each parameter");
        let value = value.reshape(kind.shape);
        param.map(|_| match kind.strategy {
            None => value,
            Some(strategy) => Tensor::from_inner(value).with_gradient_checkpointing_strategy(strategy).set_require_grad(kind.is_tracked),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn_wgpu::CubeBackend;

    use super::*;
    use crate::device::for_tests;

    #[derive(Module, Debug)]
    struct Pair {
        frozen: Param<Tensor<1>>,
        moving: Param<Tensor<2>>,
    }

    fn pair(device: &Device) -> Pair {
        let frozen = Tensor::<1>::from_floats([1.0, 2.0, 3.0], device);
        let moving = Tensor::<2>::from_floats([[4.0, 5.0], [6.0, 7.0]], device).require_grad();
        Pair { frozen: Param::initialized(ParamId::new(), frozen), moving: Param::initialized(ParamId::new(), moving) }
    }

    #[test]
    fn values_go_back_where_they_came_from() {
        for (name, device) in for_tests() {
            let before = pair(&device.clone().autodiff());
            let ids = [before.frozen.id, before.moving.id];
            let after = update_parameters(before, |parameters| {
                let found: Vec<_> = parameters.iter().map(|Parameter { path, id, value }| (path.as_str(), *id, value.dims())).collect();
                assert_eq!(found, [("frozen", ids[0], [3]), ("moving", ids[1], [4])], "{name}");
                parameters.into_iter().map(|parameter| parameter.value * 2.0).collect()
            });
            assert_eq!(after.frozen.val().into_data().iter::<f32>().collect::<Vec<_>>(), [2.0, 4.0, 6.0], "{name}");
            assert_eq!(after.moving.val().dims(), [2, 2], "{name}");
            assert_eq!(after.moving.val().into_data().iter::<f32>().collect::<Vec<_>>(), [8.0, 10.0, 12.0, 14.0], "{name}");
            assert!(!after.frozen.val().is_require_grad() && after.moving.val().is_require_grad(), "{name}");
            assert_eq!([after.frozen.id, after.moving.id], ids, "{name}");
            let slope = (after.moving.val() * 3.0).sum().backward();
            assert_eq!(after.moving.val().grad(&slope).unwrap().into_data().iter::<f32>().collect::<Vec<_>>(), [3.0; 4], "{name}");
        }
    }

    #[test]
    fn nothing_else_holds_a_value_in_gpu_memory_meanwhile() {
        for (_, device) in for_tests().into_iter().skip(1) {
            update_parameters(pair(&device.autodiff()), |parameters| {
                let alone = |parameter: Parameter| {
                    let value = parameter.value.try_into_primitive::<CubeBackend>().unwrap();
                    assert!(value.can_mut(), "{}", parameter.path);
                    Tensor::from_primitive::<CubeBackend>(value)
                };
                parameters.into_iter().map(alone).collect()
            });
        }
    }
}
