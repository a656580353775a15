//! Barriers in control flow that lanes may take apart, and indices that come from buffers.
//!
//! Every call of a function is looked at with what is known of its arguments. Variables are not followed through time:
//! what is once stored in one may always be there. So a finding may be too careful; what is not found is there only
//! where a value passes through an address that is not seen.

use super::Lint;
use super::values::{Globals, Known, Root, VARIES, Values};
use naga::{Block, BuiltIn, Expression, Function, Handle, Module, Span, Statement, TypeInner};
use std::collections::HashMap;

/// Findings of the entry point and all that it calls.
pub(super) fn run(module: &Module) -> Vec<(Lint, Span, String)> {
    let mut walk = Walk { module, globals: Globals::new(), calls: HashMap::new(), found: Vec::new() };
    let Some(entry) = module.entry_points.first() else { return Vec::new() };
    let argument = |a: &naga::FunctionArgument| match a.binding {
        Some(naga::Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups | BuiltIn::WorkGroupSize)) => {
            Known::default()
        }
        _ => VARIES,
    };
    let arguments: Vec<Known> = entry.function.arguments.iter().map(argument).collect();
    loop {
        let before = walk.globals.clone();
        walk.calls.clear();
        walk.call(&entry.function, arguments.clone(), None);
        if walk.globals == before {
            return walk.found;
        }
    }
}

/// Arguments, and whether lanes are apart where it is called.
type Situation = (Handle<Function>, Vec<Known>, bool);

struct Walk<'a> {
    module: &'a Module,
    globals: Globals,
    calls: HashMap<Situation, Known>,
    found: Vec<(Lint, Span, String)>,
}

/// How a block is left while lanes are apart: where they parted.
#[derive(Clone, Copy, Default)]
struct Left {
    /// Out of the function.
    function: Option<Span>,
    /// Out of the loop, or to its next turn.
    turn: Option<Span>,
}

impl Left {
    fn or(self, other: Self) -> Self {
        Self { function: self.function.or(other.function), turn: self.turn.or(other.turn) }
    }
}

impl<'a> Walk<'a> {
    /// What a function returns; `apart`: where the lanes parted before the call.
    fn call(&mut self, function: &'a Function, arguments: Vec<Known>, apart: Option<Span>) -> Known {
        let mut values = Values::new(self.module, function, arguments);
        let mut returned = Known::default();
        loop {
            let mut changed = values.update(&self.globals);
            let before = (values.locals.clone(), values.results.clone(), self.globals.clone(), returned);
            self.block(&mut values, &function.body, apart, &mut returned);
            changed |= before != (values.locals.clone(), values.results.clone(), self.globals.clone(), returned);
            if !changed {
                break;
            }
        }
        self.check_indices(&values);
        returned
    }

    /// Accesses of run-time sized arrays by an index from a buffer.
    fn check_indices(&mut self, values: &Values<'_>) {
        for (handle, expression) in values.function.expressions.iter() {
            let Expression::Access { base, index } = *expression else { continue };
            let (Root::Global(global), _) = values.root(base) else { continue };
            let variable = &self.module.global_variables[global];
            let sized = |ty| matches!(self.module.types[ty].inner, TypeInner::Array { size, .. } if size != naga::ArraySize::Dynamic);
            if values.of(index).data && !sized(variable.ty) {
                let name = variable.name.clone().unwrap_or_default();
                let text = format!("an index into {name} comes from a buffer and is not clamped");
                self.found.push((Lint::UnguardedIndex, values.function.expressions.get_span(handle), text));
            }
        }
    }

    fn block(&mut self, values: &mut Values<'a>, block: &'a Block, apart: Option<Span>, returned: &mut Known) -> Left {
        let mut all = Left::default();
        let mut apart = apart;
        for (statement, span) in block.span_iter() {
            let left = self.statement(values, statement, *span, apart, returned);
            all = all.or(left);
            apart = apart.or(left.function).or(left.turn);
        }
        all
    }

    fn statement(
        &mut self,
        values: &mut Values<'a>,
        statement: &'a Statement,
        span: Span,
        apart: Option<Span>,
        returned: &mut Known,
    ) -> Left {
        let parts = |values: &Values<'_>, condition: Handle<Expression>| {
            apart.or(values.of(condition).varies.then(|| values.function.expressions.get_span(condition)))
        };
        match statement {
            Statement::Block(inner) => return self.block(values, inner, apart, returned),
            Statement::If { condition, accept, reject } => {
                let inside = parts(values, *condition);
                let first = self.block(values, accept, inside, returned);
                return first.or(self.block(values, reject, inside, returned));
            }
            Statement::Switch { selector, cases } => {
                let inside = parts(values, *selector);
                let block =
                    |all: Left, case: &'a naga::SwitchCase| all.or(self.block(values, &case.body, inside, returned));
                return cases.iter().fold(Left::default(), block);
            }
            Statement::Loop { body, continuing, break_if } => {
                let last = break_if.and_then(|condition| parts(values, condition));
                return self.turns(values, [body, continuing], [apart, last], returned);
            }
            Statement::Break | Statement::Continue => return Left { function: None, turn: apart },
            Statement::Return { value } => {
                *returned |= value.map(|v| values.of(v)).unwrap_or_default();
                returned.varies |= apart.is_some();
                return Left { function: apart, turn: None };
            }
            Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => {
                self.barrier(values, statement, span, apart);
            }
            Statement::Store { pointer, value } => {
                let known = values.of(*value) | Known { varies: apart.is_some(), data: false };
                self.store(values, *pointer, known);
            }
            Statement::Call { function, arguments, result } => {
                let known = self.called(values, *function, arguments, apart);
                values.learn(*result, known);
            }
            Statement::Atomic { pointer, value, result, .. } => {
                let known = VARIES | values.of(*value);
                self.store(values, *pointer, known);
                values.learn(*result, known);
            }
            Statement::SubgroupCollectiveOperation { argument, result, .. }
            | Statement::SubgroupGather { argument, result, .. } => {
                values.learn(Some(*result), values.of(*argument));
            }
            _ => {}
        }
        Left::default()
    }

    /// A loop. `apart`: before it; `last`: where lanes part as they leave it at its end.
    fn turns(
        &mut self,
        values: &mut Values<'a>,
        [body, continuing]: [&'a Block; 2],
        [apart, last]: [Option<Span>; 2],
        returned: &mut Known,
    ) -> Left {
        let mut left = self.block(values, body, apart, returned);
        // Lanes that part in one turn are apart in the next.
        let inside = apart.or(left.turn).or(left.function).or(last);
        if inside.is_some() {
            left = self.block(values, body, inside, returned);
        }
        self.block(values, continuing, inside, returned);
        // They meet again behind the loop, but for those that left the function.
        Left { function: left.function, turn: None }
    }

    /// A call, looked at once in each situation.
    fn called(
        &mut self,
        values: &Values<'a>,
        function: Handle<Function>,
        arguments: &[Handle<Expression>],
        apart: Option<Span>,
    ) -> Known {
        let arguments: Vec<Known> = arguments.iter().map(|a| values.of(*a)).collect();
        let situation = (function, arguments.clone(), apart.is_some());
        if let Some(known) = self.calls.get(&situation) {
            return *known;
        }
        let known = self.call(&self.module.functions[function], arguments, apart);
        self.calls.insert(situation, known);
        known
    }

    fn barrier(&mut self, values: &mut Values<'a>, statement: &Statement, span: Span, apart: Option<Span>) {
        if apart.is_some() {
            self.found.push((Lint::BarrierInFlow, span, "lanes may not all come to this barrier".into()));
        }
        if let Statement::WorkGroupUniformLoad { pointer, result } = statement
            && let (Root::Global(global), _) = values.root(*pointer)
        {
            let data = self.globals.get(&global).is_some_and(|known| known.data);
            values.learn(Some(*result), Known { varies: false, data });
        }
    }

    fn store(&mut self, values: &mut Values<'a>, pointer: Handle<Expression>, known: Known) {
        let (root, index) = values.root(pointer);
        let known = known | Known { data: false, ..index };
        match root {
            Root::Local(local) => *values.locals.entry(local).or_default() |= known,
            Root::Global(global) => *self.globals.entry(global).or_default() |= known,
            Root::Other => {}
        }
    }
}
