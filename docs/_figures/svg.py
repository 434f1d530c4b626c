"""Marks, lines and words of the pictures here, as SVG."""

# A picture has its own paper: it is shown on light pages and on dark ones.
STYLE = """
  .paper { fill: #fff } .band { fill: #f0f2f4 }
  text { fill: #16202a } .grey { fill: #56616c }
  line { stroke: #8a94a0 } .grid { stroke: #e3e7ea }
  .title { font-weight: 700; font-size: 18px }
"""


def drawing(width, height, summary, parts, size=15):
  """The SVG of some parts; `summary` is for those who do not see it."""
  return '\n'.join(
    [
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
      f'role="img" aria-labelledby="what" font-size="{size}" '
      "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">",
      f'<title id="what">{summary}</title>',
      f'<style>{STYLE}</style>',
      f'<rect class="paper" width="{width}" height="{height}" rx="12"/>',
      *parts,
      '</svg>',
      '',
    ]
  )


def mark(shape, x, y, colour):
  """A mark of a shape of its own, so that colour is not needed."""
  fill = f'fill="{colour}" fill-opacity="0.75"'
  if shape == 'circle':
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {fill}/>'
  if shape == 'square':
    return (
      f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" {fill}/>'
    )
  if shape == 'triangle':
    return f'<path d="M{x - 5.5:.1f} {y + 5:.1f} h11 l-5.5 -10 z" {fill}/>'
  if shape == 'down':
    return f'<path d="M{x - 5.5:.1f} {y - 5:.1f} h11 l-5.5 10 z" {fill}/>'
  if shape == 'plus':
    return (
      f'<path d="M{x - 5.5:.1f} {y:.1f} h11 m-5.5 -5.5 v11" '
      f'stroke="{colour}" stroke-width="2.5"/>'
    )
  if shape == 'diamond':
    return f'<path d="M{x:.1f} {y - 6:.1f} l6 6 l-6 6 l-6 -6 z" {fill}/>'
  if shape == 'ring':
    return (
      f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="none" '
      f'stroke="{colour}" stroke-width="2"/>'
    )
  return (
    f'<path d="M{x - 4.5:.1f} {y - 4.5:.1f} l9 9 m0 -9 l-9 9" '
    f'stroke="{colour}" stroke-width="2"/>'
  )


def line(x1, y1, x2, y2):
  """A line of the grid."""
  return f'<line class="grid" x1="{x1}" y1="{y1:.1f}" x2="{x2}" y2="{y2:.1f}"/>'


def text(x, y, words, style='', anchor='start'):
  """A line of text."""
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" '
    f'text-anchor="{anchor}">{words}</text>'
  )
