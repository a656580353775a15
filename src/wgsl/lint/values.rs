//! What is known of the values of a function: whether they may differ between the lanes of a workgroup, and whether
//! they come from a buffer unbounded.

use naga::{AddressSpace, BinaryOperator, Expression, Function, Handle, LocalVariable, MathFunction, Module};
use std::collections::{HashMap, HashSet};
use std::ops::{BitOr, BitOrAssign};

/// Two properties, each of which spreads to whatever is computed from the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Known {
    /// May differ between lanes.
    pub varies: bool,
    /// Comes from a buffer, and nothing bounds it.
    pub data: bool,
}

impl BitOr for Known {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self { varies: self.varies || other.varies, data: self.data || other.data }
    }
}

impl BitOrAssign for Known {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

pub(super) const VARIES: Known = Known { varies: true, data: false };
const FROM_BUFFER: Known = Known { varies: false, data: true };

/// The values of one call of a function.
pub(super) struct Values<'a> {
    pub module: &'a Module,
    pub function: &'a Function,
    pub arguments: Vec<Known>,
    /// By expression.
    pub known: Vec<Known>,
    pub locals: HashMap<Handle<LocalVariable>, Known>,
    /// Of calls, atomics and subgroup operations, by the expression of the result.
    pub results: HashMap<Handle<Expression>, Known>,
    /// Expressions that are compared with something bounded somewhere in the function.
    compared: HashSet<Handle<Expression>>,
    /// Variables that are.
    compared_locals: HashSet<Handle<LocalVariable>>,
}

/// Private and workgroup variables, in all functions.
pub(super) type Globals = HashMap<Handle<naga::GlobalVariable>, Known>;

/// Where a pointer leads.
pub(super) enum Root {
    Local(Handle<LocalVariable>),
    Global(Handle<naga::GlobalVariable>),
    Other,
}

impl<'a> Values<'a> {
    pub fn new(module: &'a Module, function: &'a Function, arguments: Vec<Known>) -> Self {
        let known = vec![Known::default(); function.expressions.len()];
        let (locals, results) = (HashMap::new(), HashMap::new());
        let (compared, compared_locals) = (HashSet::new(), HashSet::new());
        let mut values = Self { module, function, arguments, known, locals, results, compared, compared_locals };
        values.find_compared();
        values
    }

    pub fn of(&self, value: Handle<Expression>) -> Known {
        self.known[value.index()]
    }

    /// Adds to what is known of the result of a statement.
    pub fn learn(&mut self, result: Option<Handle<Expression>>, known: Known) {
        if let Some(result) = result {
            *self.results.entry(result).or_default() |= known;
        }
    }

    /// Where a pointer leads, and what is known of the indices on the way.
    pub fn root(&self, pointer: Handle<Expression>) -> (Root, Known) {
        match self.function.expressions[pointer] {
            Expression::LocalVariable(local) => (Root::Local(local), Known::default()),
            Expression::GlobalVariable(global) => (Root::Global(global), Known::default()),
            Expression::AccessIndex { base, .. } => self.root(base),
            Expression::Access { base, index } => {
                let (root, known) = self.root(base);
                (root, known | self.of(index))
            }
            _ => (Root::Other, Known::default()),
        }
    }

    /// Evaluates every expression anew. Whether something is known that was not.
    pub fn update(&mut self, globals: &Globals) -> bool {
        let mut changed = false;
        for (handle, expression) in self.function.expressions.iter() {
            let mut known = self.evaluate(handle, expression, globals) | self.known[handle.index()];
            if self.is_compared(handle) {
                known.data = false;
            }
            changed |= known != self.known[handle.index()];
            self.known[handle.index()] = known;
        }
        changed
    }

    fn is_compared(&self, handle: Handle<Expression>) -> bool {
        let loaded = match self.function.expressions[handle] {
            Expression::Load { pointer } => match self.root(pointer).0 {
                Root::Local(local) => self.compared_locals.contains(&local),
                _ => false,
            },
            _ => false,
        };
        loaded || self.compared.contains(&handle)
    }

    /// Both sides of every comparison of an order, and the variables they are read from; and variables that are
    /// stored back no larger than something: `x = min(x, last)`.
    fn find_compared(&mut self) {
        use BinaryOperator::{Greater, GreaterEqual, Less, LessEqual};
        self.find_clamped(&self.function.body);
        for (_, expression) in self.function.expressions.iter() {
            let Expression::Binary { op: Less | LessEqual | Greater | GreaterEqual, left, right } = *expression else {
                continue;
            };
            for side in [left, right] {
                self.compared.insert(side);
                if let Expression::Load { pointer } = self.function.expressions[side]
                    && let (Root::Local(local), _) = self.root(pointer)
                {
                    self.compared_locals.insert(local);
                }
            }
        }
    }

    fn find_clamped(&mut self, block: &'a naga::Block) {
        use naga::Statement as S;
        for statement in block {
            match statement {
                S::Block(inner) => self.find_clamped(inner),
                S::If { accept: one, reject: other, .. } | S::Loop { body: one, continuing: other, .. } => {
                    self.find_clamped(one);
                    self.find_clamped(other);
                }
                S::Switch { cases, .. } => cases.iter().for_each(|case| self.find_clamped(&case.body)),
                S::Store { pointer, value } => {
                    let Expression::Math { fun: MathFunction::Min | MathFunction::Clamp, arg, .. } =
                        self.function.expressions[*value]
                    else {
                        continue;
                    };
                    let Expression::Load { pointer: old } = self.function.expressions[arg] else { continue };
                    if let ((Root::Local(new), _), (Root::Local(old), _)) = (self.root(*pointer), self.root(old))
                        && new == old
                    {
                        self.compared_locals.insert(new);
                    }
                }
                _ => {}
            }
        }
    }

    fn evaluate(&self, handle: Handle<Expression>, expression: &Expression, globals: &Globals) -> Known {
        use Expression as E;
        let of = |value: &Handle<Expression>| self.of(*value);
        let nothing = Known::default();
        match expression {
            E::FunctionArgument(i) => self.arguments.get(*i as usize).copied().unwrap_or(nothing),
            E::Load { pointer } => self.loaded(*pointer, globals),
            E::Compose { components, .. } => components.iter().fold(nothing, |known, c| known | of(c)),
            E::Access { base, index } => of(base) | of(index),
            E::AccessIndex { base: value, .. }
            | E::Splat { value, .. }
            | E::Swizzle { vector: value, .. }
            | E::Unary { expr: value, .. }
            | E::Derivative { expr: value, .. }
            | E::Relational { argument: value, .. }
            | E::As { expr: value, .. } => of(value),
            E::Binary { op, left, right } => binary(*op, of(left), of(right)),
            E::Select { condition, accept, reject } => Known { data: false, ..of(condition) } | of(accept) | of(reject),
            E::Math { fun, arg, arg1, arg2, arg3 } => {
                let all = [Some(arg), arg1.as_ref(), arg2.as_ref(), arg3.as_ref()];
                let known = all.into_iter().flatten().fold(nothing, |known, a| known | of(a));
                // The last operand of min and clamp is the bound.
                let bound = match fun {
                    MathFunction::Min => Some(!(of(arg).data && arg1.is_some_and(|b| self.of(b).data))),
                    // As large as its bits allow, which are few.
                    MathFunction::ExtractBits => Some(true),
                    MathFunction::Clamp => Some(!arg2.is_some_and(|b| self.of(b).data)),
                    _ => None,
                };
                Known { data: known.data && bound != Some(true), ..known }
            }
            E::CallResult(_) | E::AtomicResult { .. } | E::WorkGroupUniformLoadResult { .. } => {
                self.results.get(&handle).copied().unwrap_or(nothing)
            }
            E::SubgroupBallotResult | E::SubgroupOperationResult { .. } => {
                VARIES | self.results.get(&handle).copied().unwrap_or(nothing)
            }
            _ => nothing,
        }
    }

    fn loaded(&self, pointer: Handle<Expression>, globals: &Globals) -> Known {
        let (root, index) = self.root(pointer);
        let nothing = Known::default();
        let held = match root {
            Root::Local(local) => self.locals.get(&local).copied().unwrap_or(nothing),
            Root::Global(global) => {
                let own = globals.get(&global).copied().unwrap_or(nothing);
                match self.module.global_variables[global].space {
                    AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                        VARIES | FROM_BUFFER
                    }
                    AddressSpace::Storage { .. } => FROM_BUFFER,
                    AddressSpace::WorkGroup => VARIES | own,
                    _ => own,
                }
            }
            Root::Other => VARIES,
        };
        held | Known { data: false, ..index }
    }
}

fn binary(op: BinaryOperator, left: Known, right: Known) -> Known {
    use BinaryOperator as B;
    let both = left | right;
    match op {
        B::Modulo => Known { data: right.data, ..both },
        B::And => Known { data: left.data && right.data, ..both },
        B::Equal
        | B::NotEqual
        | B::Less
        | B::LessEqual
        | B::Greater
        | B::GreaterEqual
        | B::LogicalAnd
        | B::LogicalOr => Known { data: false, ..both },
        _ => both,
    }
}
