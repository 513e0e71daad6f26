//! Every trainable number of a module, flattened, whatever the rank of the tensor it stands in.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// Path in the module (`stages.0.norm.weight`) and value, without graph, of each parameter, in the module's order.
pub fn parameters<M: Module>(module: &M) -> Vec<(String, Tensor<1>)> {
    let mut walk = Parameters { path: Vec::new(), found: Vec::new() };
    module.visit(&mut walk);
    walk.found
}

/// The module with each value replaced by what `update` makes of its path, id and value (without graph, and not cloned: a value that
/// nothing else holds may be updated in place).
pub fn update_parameters<M: Module>(module: M, update: impl FnMut(&str, ParamId, Tensor<1>) -> Tensor<1>) -> M {
    module.map(&mut Update { path: Vec::new(), update })
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

struct Update<F> {
    path: Vec<String>,
    update: F,
}

impl<F: FnMut(&str, ParamId, Tensor<1>) -> Tensor<1>> ModuleMapper for Update<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        param.map(|value| {
            let (tracked, strategy) = (value.is_require_grad(), value.gradient_checkpointing_strategy());
            let (shape, length) = (value.dims(), value.shape().num_elements());
            let value = (self.update)(&self.path.join("."), id, value.inner().reshape([length])).reshape(shape);
            match strategy {
                None => value,
                Some(strategy) => Tensor::from_inner(value).with_gradient_checkpointing_strategy(strategy).set_require_grad(tracked),
            }
        })
    }
}
