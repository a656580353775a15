//! Nodes and values.

use crate::kernels::{Kernel, TensorType};
use crate::{DType, Error, Result};
use std::sync::Arc;

/// Index of a value in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// Index of a node in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Where a value lives.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// A tensor of the checkpoint, in the store under its value's name; possibly in several chunks.
    Weight,
    /// A buffer of the session in the store under its value's name: inputs, caches, results that outlive the run.
    State,
    /// Contents known when the graph is built: index lists.
    Const(Arc<Vec<u8>>),
    /// An intermediate, in a slot of the pool.
    Temp,
}

/// A tensor of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Name: of the tensor, of the buffer in the store, or of the node that makes it.
    pub name: String,
    /// Type.
    pub ty: TensorType,
    /// Where it lives.
    pub role: Role,
    /// Kept readable after the run: its slot is not reused.
    pub keep: bool,
    /// The value whose bytes this one shows with another shape.
    pub alias: Option<ValueId>,
}

/// A kernel applied to values.
#[derive(Debug, Clone)]
pub struct Node {
    /// Kernel with its attributes.
    pub kernel: Arc<dyn Kernel>,
    /// Values by input port.
    pub inputs: Vec<ValueId>,
    /// Values by output port.
    pub outputs: Vec<ValueId>,
    /// Where in the model it stands, e.g. `vision.layer.3.mlp`.
    pub label: String,
}

/// A graph under construction or done. Nodes are in execution order.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Values.
    pub values: Vec<Value>,
    /// Nodes in order.
    pub nodes: Vec<Node>,
    /// Stage names with the values that hold them, for dumps and bisecting.
    pub taps: Vec<(String, ValueId)>,
    scope: Vec<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }
    fn value(&mut self, name: String, ty: TensorType, role: Role) -> ValueId {
        self.values.push(Value { name, ty, role, keep: false, alias: None });
        ValueId(self.values.len() - 1)
    }
    fn named(&mut self, name: &str, ty: TensorType, role: Role) -> ValueId {
        let same = |v: &Value| v.name == name && std::mem::discriminant(&v.role) == std::mem::discriminant(&role);
        match self.values.iter().position(same) {
            Some(i) => ValueId(i),
            None => self.value(name.to_owned(), ty, role),
        }
    }
    /// The weight of that name; the same value if asked for again.
    pub fn weight(&mut self, name: &str, ty: TensorType) -> ValueId {
        self.named(name, ty, Role::Weight)
    }
    /// The session's buffer of that name; the same value if asked for again.
    pub fn state(&mut self, name: &str, ty: TensorType) -> ValueId {
        self.named(name, ty, Role::State)
    }
    /// u32 contents known now.
    pub fn constant_u32(&mut self, name: &str, shape: &[usize], values: &[u32]) -> ValueId {
        let bytes = bytemuck::cast_slice(values).to_vec();
        self.value(name.to_owned(), TensorType::u32(shape), Role::Const(Arc::new(bytes)))
    }
    /// i32 contents known now.
    pub fn constant_i32(&mut self, name: &str, shape: &[usize], values: &[i32]) -> ValueId {
        let bytes = bytemuck::cast_slice(values).to_vec();
        self.value(name.to_owned(), TensorType::new(DType::I32, shape), Role::Const(Arc::new(bytes)))
    }
    /// f32 contents known now.
    pub fn constant_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) -> ValueId {
        let bytes = bytemuck::cast_slice(values).to_vec();
        self.value(name.to_owned(), TensorType::f32(shape), Role::Const(Arc::new(bytes)))
    }
    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        &self.values[value.0].ty
    }
    /// Runs `build` with `name` appended to the labels of the nodes that it adds.
    pub fn scoped<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scope.push(name.to_owned());
        let result = build(self);
        self.scope.pop();
        result
    }
    /// Adds a node; returns its outputs.
    ///
    /// Errors: [`Error::Graph`] naming the node when operands do not fit the kernel.
    pub fn add(&mut self, kernel: impl Kernel + 'static, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        self.add_shared(Arc::new(kernel), inputs)
    }
    /// [`Graph::add`] of a kernel that is shared or boxed.
    pub fn add_shared(&mut self, kernel: Arc<dyn Kernel>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let at = format!("{} ({})", self.scope.join("."), kernel.name());
        let ports = kernel.inputs();
        if ports.len() != inputs.len() {
            return Err(Error::graph(at, format!("{} operands for the ports {ports:?}", inputs.len())));
        }
        let types: Vec<TensorType> = inputs.iter().map(|v| self.ty(*v).clone()).collect();
        let outputs = kernel.infer(&types).map_err(|e| Error::graph(&at, e.to_string()))?;
        let updates = kernel.updates();
        let mut ids = Vec::new();
        for (i, ty) in outputs.into_iter().enumerate() {
            let id = match updates.iter().find(|(output, _)| *output == i) {
                Some((_, input)) => inputs[*input],
                None => self.value(format!("%{}.{i}", self.nodes.len()), ty, Role::Temp),
            };
            ids.push(id);
        }
        let label = self.scope.join(".");
        self.nodes.push(Node { kernel, inputs: inputs.to_vec(), outputs: ids.clone(), label });
        Ok(ids)
    }
    /// [`Graph::add`] of a kernel with one output.
    pub fn apply(&mut self, kernel: impl Kernel + 'static, inputs: &[ValueId]) -> Result<ValueId> {
        Ok(self.add(kernel, inputs)?[0])
    }
    /// Names a value as a stage of the model; it stays readable after the run if taps are kept.
    pub fn tap(&mut self, name: &str, value: ValueId) {
        self.taps.push((name.to_owned(), value));
    }
    /// Keeps the tapped values whose name `wanted` accepts. Fusion leaves kept values alone.
    pub fn keep_taps(&mut self, wanted: impl Fn(&str) -> bool) {
        for (name, value) in &self.taps {
            if wanted(name) {
                self.values[value.0].keep = true;
            }
        }
    }
    /// The same bytes with another shape of as many elements. Of a [`Role::Temp`] value only.
    pub fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId> {
        let source = &self.values[value.0];
        let ty = TensorType { shape: shape.to_vec(), ..source.ty.clone() };
        if source.role != Role::Temp || ty.bytes() != source.ty.bytes() {
            return Err(Error::graph(&source.name, format!("{} cannot be seen as {ty}", source.ty)));
        }
        let id = self.value(source.name.clone(), ty, Role::Temp);
        self.values[id.0].alias = Some(self.root(value));
        Ok(id)
    }
    /// The value that owns the bytes of `value`: itself unless it is a reshape.
    pub fn root(&self, value: ValueId) -> ValueId {
        self.values[value.0].alias.unwrap_or(value)
    }
    /// Makes a node's output live in the store under `name` instead of a slot.
    pub fn store(&mut self, value: ValueId, name: &str) {
        let value = &mut self.values[value.0];
        (value.role, value.name) = (Role::State, name.to_owned());
    }
    /// Types of a node's operands.
    pub fn io(&self, node: &Node) -> (Vec<TensorType>, Vec<TensorType>) {
        let types = |ids: &[ValueId]| ids.iter().map(|v| self.ty(*v).clone()).collect();
        (types(&node.inputs), types(&node.outputs))
    }
    /// Names and types of the weights, in order of first use.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.values.iter().filter(|v| v.role == Role::Weight).map(|v| (v.name.as_str(), &v.ty))
    }
    /// Names and types of the session's buffers, in order of first use.
    pub fn states(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.values.iter().filter(|v| v.role == Role::State).map(|v| (v.name.as_str(), &v.ty))
    }
}
