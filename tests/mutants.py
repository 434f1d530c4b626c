"""Faults planted on purpose, each of which some test must catch.

  python -m tests.mutants                    every one, a line each
  python -m tests.mutants gru_update ...     some
  python -m tests.mutants --list

Each fault is one edit of the source, in a copy of the tree. The files named
beside it are then run with the cases that the default run takes. Exit code: 0
where all were caught, 1 where one was missed or no longer fits the source.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Mutant(NamedTuple):
  """An edit that breaks a promise, and who must notice.

  Attributes:
    name: of the fault.
    path: file of the package.
    right: what stands there, once.
    wrong: what stands there instead.
    tests: names of test files, without `test_` and `.py`.
    words: what of these files is run (`-k`); None: what the default run takes.
  """

  name: str
  path: str
  right: str
  wrong: str
  tests: tuple
  words: str | None = None


def file_of(name):
  """The path of a test file, from the root on."""
  (path,) = (ROOT / 'tests').rglob(f'test_{name}.py')
  return path.relative_to(ROOT)


MUTANTS = (
  # Cells.
  Mutant(
    'lstm_gates_swapped', 'cells/lstm.py',
    "_activate(net, 'ifgo')\n    s_c = y_f * s_tm1 + y_in * g",
    "_activate(net, 'ifgo')\n    s_c = y_in * s_tm1 + y_f * g",
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'lstm_late_peephole', 'cells/lstm.py',
    "(y_out,) = _activate(o + spread(w_out, o) * s_c, 'o')",
    "(y_out,) = _activate(o + spread(w_out, o) * s_tm1, 'o')",
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'lstm_output_not_squashed', 'cells/lstm.py',
    'return Carry(s_c, y_out * tanh(s_c)), gates',
    'return Carry(s_c, y_out * s_c), gates',
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'gru_update_turned_round', 'cells/gru.py',
    '(1 - z) * n + z * h_tm1', 'z * n + (1 - z) * h_tm1',
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'gru_resets_after', 'cells/gru.py',
    'net_hn = affine(extra[0], r * h_tm1)',
    'net_hn = r * affine(extra[0], h_tm1)',
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'mingru_gate_turned_round', 'cells/mingru.py',
    '(1 - z) * carry_tm1.h + z * n', 'z * carry_tm1.h + (1 - z) * n',
    ('minimal_cells', 'cells'),
  ),
  Mutant(
    'minlstm_gates_not_normalised', 'cells/minlstm.py',
    'if normalised_gates:', 'if not normalised_gates:',
    ('minimal_cells', 'cells'),
  ),
  Mutant(
    'indrnn_bound_not_held', 'cells/indrnn.py',
    'return jnp.where(jnp.abs(u) <= bound, u, folded)', 'return u',
    ('indrnn', 'cells'),
  ),
  Mutant(
    'janet_lets_in_what_it_forgets', 'cells/janet.py',
    'logistic(shift - s)', 'logistic(-s)',
    ('janet', 'cells'),
  ),
  Mutant(
    'lem_hears_z_of_before', 'cells/lem.py',
    'net_y = affine(w_y, z) +', 'net_y = affine(w_y, carry_tm1.z) +',
    ('equations_in_loops',),
  ),
  Mutant(
    'lru_turns_the_other_way', 'cells/lru.py',
    'l_re * x_re - l_im * x_im', 'l_re * x_re + l_im * x_im',
    ('equations_in_loops',),
  ),
  Mutant(
    'slstm_without_a_normaliser', 'cells/slstm.py',
    'y_out * (c / n)', 'y_out * c',
    ('equations_in_loops',),
  ),
  Mutant(
    'cornn_moves_by_the_old_velocity', 'cells/cornn.py',
    'Carry(y_tm1 + dt * z, z)', 'Carry(y_tm1 + dt * z_tm1, z)',
    ('equations_in_loops',),
  ),
  Mutant(
    'srn_self_hears_all', 'cells/srn.py',
    "'self': np.eye(hidden, dtype=bool)", "'self': True",
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'lstm1997_g_half_as_wide', 'cells/lstm1997.py',
    'g_c = 2 * g_c', 'g_c = 1 * g_c',
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'lstm1997_gates_begin_half_open', 'cells/lstm1997.py',
    "0.5 if reset_gates_to == 'half' else 0.0", '0.5',
    ('cell_oracles', 'cells'),
  ),
  Mutant(
    'compensation_left_out', 'ops/arrays.py',
    'term = term + jax.lax.stop_gradient(rest)',
    'term = term + 0 * jax.lax.stop_gradient(rest)',
    ('state_sum',),
  ),
  # Rules.
  Mutant(
    'truncated_eligible_too_long', 'learners/truncated1997.py',
    'active = t < stream.length - 1', 'active = t < stream.length',
    ('learners', 'every_step'),
  ),
  Mutant(
    'truncated_decay_of_the_step_before', 'learners/truncated1997.py',
    'decay = jnp.concatenate([decay[1:], jnp.zeros_like(decay[:1])])',
    'decay = jnp.concatenate([decay[:-1], jnp.zeros_like(decay[:1])])',
    ('learners',),
  ),
  Mutant(
    'rtrl_cuts_the_carousel', 'learners/rtrl.py',
    'if name != cell.internal.field', 'if name == cell.internal.field',
    ('rtrl',),
  ),
  Mutant(
    'rtrl_forgets_the_step_itself', 'learners/_forward/influence_matrix.py',
    'return carry_t, product(by_carry, influence) + by_weights',
    'return carry_t, product(by_carry, influence)',
    ('rtrl', 'credit'),
  ),
  Mutant(
    'uoro_signs_of_one_kind', 'learners/uoro.py',
    'jnp.where(bits >> jnp.uint32(31), 1, -1)',
    'jnp.where(bits >> jnp.uint32(31), 1, 1)',
    ('uoro',),
  ),
  Mutant(
    'uoro_draws_the_signs_of_this_step', 'learners/uoro.py',
    'signs(key, t + 1, past.size, s.dtype)',
    'signs(key, t, past.size, s.dtype)',
    ('uoro',),
  ),
  Mutant(
    'snap1_links_the_first_unit', 'learners/snap1.py',
    'links[:, :, None, block.kinds, None]',
    'links[:, :, None, 0 * block.kinds, None]',
    ('snap1',),
  ),
  Mutant(
    'snap1_counts_repeats', 'learners/snap1.py',
    'moved.append(jnp.where(is_kept, part, 0))', 'moved.append(part)',
    ('snap1',),
  ),
  Mutant(
    'eprop_hears_other_units', 'ops/step.py',
    'carry_t, _, _ = _advanced(equations, params, carry_tm1, x_t, cut)',
    'carry_t, _, _ = _advanced(equations, params, carry_tm1, x_t)',
    ('eprop',),
  ),
  Mutant(
    'eprop_forgets_nothing', 'learners/_forward/local_trace.py',
    'jnp.sum(d, axis=0)[rows] * trace + at_once', 'trace + at_once',
    ('eprop',),
  ),
  Mutant(
    'rflo_of_any_cell', 'ops/step.py',
    'is_constant = np.ptp(factors) < 1e-6', 'is_constant = True',
    ('rflo',),
  ),
  Mutant(
    'leak_of_the_other_part', 'cells/srn.py',
    '(1 - leak) * carry_tm1.h + leak * f(net)',
    'leak * carry_tm1.h + (1 - leak) * f(net)',
    ('rflo', 'cell_oracles'),
  ),
  Mutant(
    'a_product_hides_what_it_multiplies', 'learners/_forward/spoiling.py',
    'if name in (*_CUSTOM, *_HIDES):', 'if name in _CUSTOM:',
    ('touched',),
  ),
  Mutant(
    'the_place_of_a_draw_is_the_only_one',
    'learners/_forward/chosen_places.py', 'if not axes:', 'if True:',
    ('touched',),
  ),
  Mutant(
    'what_is_put_takes_the_place_of_all', 'learners/_forward/chosen_places.py',
    'return is_spoiled(operand) | _anywhere(counts > 0, axes)',
    'return _anywhere(counts > 0, axes)',
    ('touched',),
  ),
  Mutant(
    'a_loop_that_does_not_begin_hides', 'learners/_forward/spoiling.py',
    "'approx_top_k', 'while'", "'approx_top_k'",
    ('touched',),
  ),
  Mutant(
    'a_count_of_steps_is_a_choice', 'learners/_forward/spoiling.py',
    'if not fixed', 'if True',
    ('touched',),
  ),
  Mutant(
    'eprop_mixes_cells_of_a_block', 'learners/_forward/local_trace.py',
    'counts & (group[rows] == g)', 'counts',
    ('eprop',),
  ),
  Mutant(
    'feedback_beside_the_weights', 'ops/step.py',
    'output_sources(equations, constant, x_t)',
    'output_sources(equations, carry_t, x_t)',
    ('eprop',),
  ),
  Mutant(
    'kf_gain_without_noise', 'learners/kf.py',
    'gain = rate / (1 + rate * variance)',
    'gain = rate / (2 + rate * variance)',
    ('kf',),
  ),
  Mutant(
    'elman_moves_where_nothing_is_scored', 'learners/elman.py',
    'state = select(counts, move(state, grads, squared), state)',
    'state = move(state, grads, squared)',
    ('elman', 'every_step', 'optimizers'),
  ),
  Mutant(
    'bptt_learns_unscored_steps', 'learners/bptt.py',
    'jnp.where(sequence.mask > 0, losses, 0)', 'losses',
    ('bptt', 'learners'),
  ),
  Mutant(
    'judged_by_the_sum', 'learners/_judge.py',
    'return Judgement(tally.right, tally.absolute / steps,',
    'return Judgement(tally.right, tally.absolute,',
    ('learners', 'every_step', 'stop_rules'),
  ),
  # Store.
  Mutant(
    'seal_without_its_head', 'lab/store/seal.py',
    'digest([*document.values(), content])', 'digest([content])',
    ('results', 'results_damage'),
  ),
  Mutant(
    'shards_shut_each_other_out', 'lab/store/lock.py',
    "_hold(stack, folder, 'lock', fcntl.LOCK_SH)",
    "_hold(stack, folder, 'lock', fcntl.LOCK_EX)",
    ('lock',),
  ),
  Mutant(
    'oldest_checkpoint_first', 'lab/store/checkpoints.py',
    'for generation in reversed(generations):',
    'for generation in generations:',
    ('checkpoints',),
  ),
  Mutant(
    'number_of_a_damaged_checkpoint_used_again', 'lab/store/checkpoints.py',
    'max([0, *generations, *bad_generations])', 'max([0, *generations])',
    ('checkpoints', 'results_damage'),
  ),
  Mutant(
    'name_before_contents', 'lab/store/files.py',
    '      disk.fsync(fd)\n      if overwrite:', '      if overwrite:',
    ('power_loss', 'results_faults'),
  ),
  # The layer.
  Mutant(
    'layer_window_not_cut', 'nn/_scan.py',
    'select(step.cut, jax.lax.stop_gradient(carry), carry)',
    'select(step.cut, carry, carry)',
    ('layer',),
  ),
  Mutant(
    'layer_zoneout_turned_round', 'nn/_scan.py',
    'keep * old + (1 - keep) * new', 'keep * new + (1 - keep) * old',
    ('layer', 'stack'),
  ),
  Mutant(
    'layer_state_runs_on_past_the_end', 'nn/_scan.py',
    'carry = select(step.active, carry, carry_before)', 'pass',
    ('layer',),
  ),
  Mutant(
    'layer_parts_in_one_order', 'nn/_scan.py',
    'jax.lax.scan(part, start, parts, reverse=options.reverse)',
    'jax.lax.scan(part, start, parts)',
    ('layer',),
  ),
  Mutant(
    'stack_joins_the_wrong_way_round', 'nn/stack.py',
    'jnp.concatenate(tuple(ys.values()), axis=-1)',
    'jnp.concatenate(tuple(ys.values())[::-1], axis=-1)',
    ('stack',),
  ),
  # Planted when the sample of the default run had been chosen.
  Mutant(
    'fully_recurrent_reads_the_last_units', 'ops/step.py',
    'nets[0][:num_outputs]', 'nets[0][-num_outputs:]',
    ('cell_oracles', 'cells', 'rtrl'),
  ),
  Mutant(
    'cascaded_hears_the_first_unit_only', 'cells/cascaded.py',
    'spread(w_h[i + 1 :, i], net)', 'spread(w_h[i + 1 :, 0], net)',
    ('cell_oracles', 'cells', 'cascade'),
  ),
  Mutant(
    'layernorm_gains_exchanged', 'cells/lstm_layernorm.py',
    'scale(net_h, alpha_1) + scale(net_x, alpha_2)',
    'scale(net_h, alpha_2) + scale(net_x, alpha_1)',
    ('layernorm_cell', 'cells'),
  ),
  Mutant(
    'layernorm_state_of_the_other_form', 'cells/lstm_layernorm.py',
    "if norm == 'per_gate':\n      s_c = s_norm",
    "if norm == 'separate':\n      s_c = s_norm",
    ('layernorm_cell', 'cells'),
  ),
  Mutant(
    'bptt_window_forgotten', 'learners/bptt.py',
    'stream.length, cut=cut, window=window', 'stream.length, cut=cut',
    ('bptt', 'learner_catalog'),
  ),
  Mutant(
    'growth_trains_what_waits', 'learners/_descend.py',
    'grads = select(state.grown, grads, mask)',
    'grads = select(state.grown, mask, grads)',
    ('growth',),
  ),
  Mutant(
    'chunker_upper_rate_is_the_lower', 'learners/chunker.py',
    'jnp.where(jnp.isnan(upper_rate), rate, upper_rate)',
    'rate + 0 * jnp.nan_to_num(upper_rate)',
    ('chunker', 'learner_catalog'),
  ),
  Mutant(
    'kf_drifts_where_nothing_is_scored', 'learners/kf.py',
    'noise = jnp.where(step[-1], state.process_noise, 0)',
    'noise = state.process_noise',
    ('kf',),
  ),
  Mutant(
    'kf_forgets_measurements_before', 'learners/kf.py',
    'surprise = error - jnp.sum(h_k * (mean - weights), axis=0)',
    'surprise = error',
    ('kf',),
  ),
  Mutant(
    'guess_keeps_its_failures', 'learners/guess.py',
    'mistakes=jnp.where(fails, 0, mistakes)', 'mistakes=mistakes',
    ('guess',),
  ),
  Mutant(
    'uoro_balances_one_side', 'learners/uoro.py',
    'v / rho_0 + at_once / rho_1', 'v / rho_0 + at_once',
    ('uoro',),
  ),
  Mutant(
    'thinned_drops_the_rest', 'ops/arrays.py',
    'return w + getattr(columns, name)', 'return w',
    ('one_hot', 'layernorm_cell'),
  ),
  Mutant(
    'seal_takes_any_schema', 'lab/store/seal.py',
    '  if version != schema:', '  if version > schema:',
    ('results', 'checkpoints', 'results_faults'),
  ),
  Mutant(
    'layer_is_active_a_step_too_long', 'nn/_program.py',
    't < lengths[None]', 't <= lengths[None]',
    ('layer', 'layer_edges'),
  ),
  # Settings, records, curves, reports.
  Mutant(
    'schema_1_window_is_somebody_elses', 'lab/store/schema_1.py',
    "whose = 'task' if old.get('learner') in _TRAINERS else 'learner'",
    "whose = 'learner' if old.get('learner') in _TRAINERS else 'task'",
    ('schema_1',),
  ),
  Mutant(
    'setting_forgets_what_tuples_were', 'lab/store/setting.py',
    'return tuple(map(_as_tuples, value)) if isinstance(value, list) else '
    'value',
    'return value',
    ('run_folder',),
  ),
  Mutant(
    'metrics_are_summed_up_over_all', 'lab/report/measures.py',
    'if over(status) and (value := metrics.get(name)) is not None',
    'if (value := metrics.get(name)) is not None',
    ('seeds', 'report_rows', 'table'),
  ),
  Mutant(
    'levels_stand_below_other_data', 'lab/report/readings.py',
    'return of.task, of.length, of.window, repr(of.task_options)',
    'return of.task, repr(of.task_options)',
    ('seeds', 'seeds_report'),
  ),
  Mutant(
    'curve_merges_no_neighbours', 'training/learning_curve.py',
    '(x[0::2] + x[1::2], jnp.zeros_like(x[1::2]))',
    '(x[0::2] + x[0::2], jnp.zeros_like(x[1::2]))',
    ('learning_curve',),
  ),
  Mutant(
    'refuses_any_one_of_two', 'ops/conditions.py',
    'return condition.keys() <= options.keys() and all(',
    'return condition.keys() <= options.keys() and any(',
    ('checked', 'conditions'),
  ),
  Mutant(
    'a_need_is_there_whatever_the_options', 'ops/conditions.py',
    'if holds(when, options) and not has(part):',
    'if not when and not has(part):',
    ('conditions',),
  ),
  Mutant(
    'networks_of_every_trial_are_kept', 'lab/run/recorder.py',
    'keep=name in first,', 'keep=True,',
    ('in_python',), 'networks',
  ),
  # Growing plans, plans in parts.
  Mutant(
    'spent_trials_stay_spent', 'training/lanes.py',
    "leaves['seen'] < leaves['budget']:", "leaves['seen'] > leaves['budget']:",
    ('larger_budget',),
  ),
  Mutant(
    'code_of_the_smaller_budget_is_asked_for', 'lab/run/renewal.py',
    'or code == opened.code.get(new)', 'or code == opened.code.get(name)',
    ('renewal', 'larger_budget'),
  ),
  Mutant(
    'parts_begin_with_data_sets', 'lab/run/parts.py',
    "_ORDER = ('auto', 'none')", "_ORDER = ('none', 'auto')",
    ('plan_parts',),
  ),
  # Long lags.
  Mutant(
    'normalised_by_the_gradient_alone', 'learners/_normalised_step.py',
    '(g * along) ** 2', '(g * _SCALE) ** 2',
    ('optimizers',),
  ),
  Mutant(
    'restarts_look_at_the_first_half', 'learners/_restarts.py',
    'counts = 2 * n > sequences', 'counts = 2 * n <= sequences',
    ('restarts',),
  ),
  Mutant(
    'marks_of_the_first_ten_anywhere', 'tasks/adding.py',
    "both_early = marks == 'first_ten'", 'both_early = False',
    ('tasks', 'task_statistics'),
  ),
  # The door, and what is looked at through it.
  Mutant(
    'public_names_count_as_code', 'lab/store/sources.py',
    'if module in visited or module in (_PACKAGE, public.__name__):',
    'if module in visited:',
    ('sources',),
  ),
  Mutant(
    'the_page_has_the_median_of_the_solved', 'lab/serve/board.py',
    "record['metrics'].get('sequences_to_success') or math.inf\n    for record",
    "record['metrics'].get('sequences_to_success') or 60\n    for record",
    ('watching',),
  ),
  # Folders that go on.
  Mutant(
    'other_snapshots_are_failures', 'lab/run/scheduler.py',
    'except OtherSnapshot as error:', 'except ZeroDivisionError as error:',
    ('workers',),
  ),
  Mutant(
    'snapshots_fit_by_name_alone', 'training/trial_columns.py',
    'if of_column != kinds:', 'if of_column.keys() != kinds.keys():',
    ('workers',),
  ),
  Mutant(
    'later_options_change_ids', 'lab/plan/resolve.py',
    'if options[one][name] == entry.options[name].default:', 'if False:',
    ('plan', 'outside', 'schema_1'),
  ),
)  # fmt: skip


def planted(mutant, text):
  """The text with the fault in it.

  Raises:
    ValueError: the place is not there, or not once.
  """
  count = text.count(mutant.right)
  if count != 1:
    raise ValueError(
      f'{mutant.name}: {mutant.right!r} stands {count} times in {mutant.path}'
    )
  return text.replace(mutant.right, mutant.wrong)


def caught(mutant, tree):
  """Who notices the fault.

  Args:
    mutant: the fault.
    tree: a copy of the project, which is as it was again afterwards.

  Returns:
    `(the test that failed, '')`, or None and the end of pytest's output.
  """
  source = tree / 'lstm_jax' / mutant.path
  whole = source.read_text()
  source.write_text(planted(mutant, whole))
  words = [f'{file_of(name)}' for name in mutant.tests]
  words += ['-k', mutant.words] if mutant.words else []
  try:
    done = subprocess.run(
      [sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:randomly',
       '--sample', *words],
      cwd=tree, capture_output=True, text=True, check=False,
      env=os.environ | {'PYTHONDONTWRITEBYTECODE': '1'},
    )  # fmt: skip
  finally:
    source.write_text(whole)
  lines = done.stdout.splitlines()
  failed = [line for line in lines if line.startswith(('FAILED ', 'ERROR '))]
  if done.returncode == 1 and failed:
    return failed[0].split()[1], ''
  return None, done.stdout[-300:] + done.stderr[-300:]


def main(argv=None):
  """Plants the faults one after another; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('names', nargs='*', help='these; none: all')
  parser.add_argument('--list', action='store_true', help='show them alone')
  asked = parser.parse_args(argv)
  known = {mutant.name: mutant for mutant in MUTANTS}
  for name in asked.names:
    if name not in known:
      parser.error(f'{name}: choose from {", ".join(known)}')
  chosen = [known[name] for name in asked.names] or MUTANTS
  if asked.list:
    for mutant in chosen:
      print(f'{mutant.name}: {mutant.path}, by {", ".join(mutant.tests)}')
    return 0
  missed = []
  with tempfile.TemporaryDirectory() as folder:
    tree = Path(folder) / 'tree'
    leave = shutil.ignore_patterns('.*', '__pycache__', 'runs', '*.egg-info')
    shutil.copytree(ROOT, tree, ignore=leave)
    for mutant in chosen:
      test, said = caught(mutant, tree)
      if test:
        print(f'caught  {mutant.name}: {test}', flush=True)
      else:
        print(f'MISSED  {mutant.name}:\n{said}', flush=True)
        missed.append(mutant.name)
  print(f'{len(chosen) - len(missed)} of {len(chosen)} caught')
  return 1 if missed else 0


if __name__ == '__main__':
  sys.exit(main())
