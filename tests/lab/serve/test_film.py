"""A film shows every kept network of a trial, and the sequence in three."""

import io

import matplotlib
import numpy as np
import pytest

from experiments import film as command
from lstm_jax.lab.serve import film, inside
from lstm_jax.lab.serve.watching import Watch

Image = pytest.importorskip('PIL.Image', reason='Pillow comes with matplotlib')


@pytest.fixture(scope='module')
def scenes(unfinished):
  watch = Watch(unfinished.path)
  trial = watch.look().kept[0]
  follow = inside.follower(watch.look().trials[trial])
  return [film.Scene(n, follow(net, 0)) for n, net in watch.networks(trial)]


def test_the_panels_are_what_goes_on_inside(scenes):
  held = scenes[-1].inside
  panels = {panel.title: panel for panel in film.panels(held)}
  np.testing.assert_array_equal(panels['inputs'].values, held.trace['inputs'])
  states = panels['cell\nstates'].values
  np.testing.assert_array_equal(states, held.trace['carry']['s_c'])
  gates = [p.values for title, p in panels.items() if 'gates' in title]
  np.testing.assert_array_equal(
    np.concatenate(gates, axis=1), held.trace['carry']['y_gates']
  )
  outputs = panels['outputs']
  assert np.isfinite(outputs.rings).sum() == 1  # the target at the end
  assert outputs.rings[-1, 0] == held.trace['targets'][-1, 0]
  error = panels['error\nflowing\nback'].values
  np.testing.assert_allclose(
    error[:-1, 0], np.linalg.norm(held.errors['s_c'][:-1], axis=1)
  )


@pytest.mark.parametrize(
  'kind', ['GIF', pytest.param('WEBP', marks=pytest.mark.slow)]
)
def test_a_film_is_small_and_stays_the_same(scenes, kind, monkeypatch):
  monkeypatch.setattr(film, '_STEPS_SHOWN', 2)
  scenes = scenes[:2]
  data = film.film(scenes, kind, 'adding')
  assert len(data) < 400_000
  moving = Image.open(io.BytesIO(data))
  assert moving.format == kind and moving.n_frames == 4
  if kind == 'GIF':
    assert film.film(scenes, kind, 'adding') == data


# A script of the shell, as there may be blanks in the path of an interpreter.
FFMPEG = """#!/bin/sh
for last; do :; done
exec cat > "$last"
"""


def test_a_video_has_every_picture_for_its_time(scenes, monkeypatch, tmp_path):
  # What stands in for ffmpeg keeps the frames as they come.
  program = tmp_path / 'ffmpeg'
  program.write_text(FFMPEG)
  program.chmod(0o755)
  monkeypatch.setattr(film, '_STEPS_SHOWN', 2)
  # Shorter and smaller than it is: each frame is drawn.
  for name, value in (('_FRAMES', 10), ('_HOLD', 210), ('_END', 310)):
    monkeypatch.setattr(film, name, value)
  monkeypatch.setattr(film, '_DPI', 20)
  with matplotlib.rc_context({'animation.ffmpeg_path': str(program)}):
    assert film.has_ffmpeg()
    data = film.film(scenes[:2], 'MP4', 'adding')
  pixels = np.prod([film._DPI * inches for inches in film._SIZE])
  times = [milliseconds for *_, milliseconds in film._cuts(scenes[:2])]
  frames = sum(round(one * film._FRAMES / 1000) for one in times)
  assert len(data) == 4 * pixels * frames


def test_a_video_without_ffmpeg_is_refused_in_a_line(
  unfinished, capsys, tmp_path
):
  with matplotlib.rc_context({'animation.ffmpeg_path': str(tmp_path / 'no')}):
    words = [str(unfinished.path), 'row', f'--out={tmp_path / "film.mp4"}']
    assert command.main(['film', *words]) == 2
  message = capsys.readouterr().err
  assert 'needs ffmpeg' in message and message.count('\n') == 1


def test_axes_hold_all_scenes(scenes):
  figures = [film.picture(one, 3, 'adding', scenes) for one in scenes]
  limits = {
    tuple(axes.get_ylim() for axes in figure.axes) for figure in figures
  }
  assert len(limits) == 1
  assert 'after 16 training sequences' in figures[1].get_suptitle()


def test_the_command_makes_it(unfinished, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(film, '_STEPS_SHOWN', 2)
  row = next(iter(unfinished.trials.values())).row
  out = tmp_path / 'adding.gif'
  assert command.main(['film', str(unfinished.path), row, f'--out={out}']) == 0
  assert '3 networks' in capsys.readouterr().out
  with Image.open(out) as moving:
    assert moving.n_frames == 6


@pytest.mark.parametrize(
  'words, line',
  [
    ('{run}', '1 word'),
    ('{run} x', 'no --out'),
    ('{run} x --out=a.avi', 'by its ending'),
    ('{run} x --out=a.gif', 'ROW=x: no networks'),
    ('{run}/nothing x --out=a.gif', 'no run here'),
  ],
)
def test_refusals(unfinished, capsys, words, line):
  words = words.format(run=unfinished.path).split()
  assert command.main(['film', *words]) == 2
  assert line in capsys.readouterr().err
