// Looks at a report page from inside, as the browser laid it out. Returns what is there and what is wrong with it.
(async () => {
  const wrong = [], all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const say = (ok, text) => { if (!ok) wrong.push(text); };
  const box = (e) => e.getBoundingClientRect();
  const seen = (e) => box(e).width > 0 && box(e).height > 0;

  // Curves: more than one finite point each, drawn with an extent; a place for axes and their numbers.
  const plots = all('figure.plot');
  let curves = 0, points = 0;
  for (const plot of plots) {
    const title = plot.querySelector('figcaption').textContent;
    const area = plot.querySelector('svg.pa'), lines = all('path.line', area);
    say(lines.length > 0, `plot "${title}" has no curve`);
    say(seen(area), `plot "${title}" has no size`);
    say(all('svg.ya text', plot).length > 1 && all('svg.xa text', plot).length > 2, `plot "${title}" has no numbers at its axes`);
    for (const line of lines) {
      const numbers = line.getAttribute('d').match(/[^MLHVhvZ\s,]+/g).map(Number), count = line.getAttribute('d').match(/[ML]/g).length;
      say(count > 1 && numbers.every(Number.isFinite), `plot "${title}": a curve of ${count} points`);
      const length = line.getTotalLength(), end = length > 0 ? line.getPointAtLength(length) : {x: NaN, y: NaN};
      say( Number.isFinite(end.x) && Number.isFinite(end.y), `plot "${title}": a curve without length`);
      if (length > 0) say(end.x >= -1 && end.x <= 1001 && end.y >= -1 && end.y <= 221, `plot "${title}": a curve leaves its area`);
      say(getComputedStyle(line).stroke !== 'none', `plot "${title}": a curve without colour`);
      curves += 1;
      points += count;
    }
  }

  // Pictures: decoded, with pixels that differ, and both boxes over them.
  const several_colours = (drawable) => {
    const canvas = document.createElement('canvas'), context = canvas.getContext('2d');
    canvas.width = canvas.height = 16;
    context.drawImage(drawable, 0, 0, 16, 16);
    return new Set(new Uint32Array(context.getImageData(0, 0, 16, 16).data.buffer)).size > 1;
  };
  const pictures = all('.picture');
  for (const picture of pictures) {
    const name = picture.querySelector('.name').textContent, image = picture.querySelector('img');
    if (!image) { wrong.push(`picture ${name} is missing`); continue; }
    await image.decode().catch((e) => wrong.push(`picture ${name}: ${e}`));
    say(image.complete && image.naturalWidth > 0 && seen(image), `picture ${name} did not decode`);
    say(image.naturalWidth > 0 && several_colours(image), `picture ${name} is of one colour`);
    for (const kind of ['truth', 'prediction']) {
      const rect = picture.querySelector(`rect.${kind}`);
      say(rect && seen(rect), `picture ${name} has no box of the ${kind}`);
    }
  }
  const maps = all('svg.cells image');
  for (const map of maps) {
    const image = new Image();
    image.src = map.getAttribute('href');
    await image.decode().catch((e) => wrong.push(`heat map: ${e}`));
    say(image.naturalWidth > 0 && seen(map), 'a heat map did not decode');
  }

  // Nothing from elsewhere, nothing broken in the text.
  for (const e of all('*')) for (const a of ['src', 'href', 'srcset', 'action', 'data', 'poster'])
    if (e.hasAttribute(a)) say(/^(#|data:image\/)/.test(e.getAttribute(a)), `${e.tagName} leads outside: ${e.getAttribute(a).slice(0, 80)}`);
  say(!/url\(\s*['"]?(?!#|data:)|@import/.test(all('style').map((e) => e.textContent).join()), 'the style sheet leads outside');
  const text = document.body.innerText;
  for (const word of [/\bnan\b/i, /\bundefined\b/, /\{\}/, /\uFFFD/]) say(!word.test(text), `the page says ${word.exec(text)}`);
  const ids = all('[id]').map((e) => e.id);
  say(new Set(ids).size === ids.length, 'two elements share an id');
  for (const link of all('a[href^="#"]')) say(document.querySelector(link.getAttribute('href')), `${link.textContent} links to nothing`);

  // The layout: nothing reaches beyond the window but what scrolls by itself.
  const width = document.documentElement.clientWidth, scroll = document.scrollingElement.scrollWidth;
  say(scroll <= innerWidth, `${scroll} px wide in a window of ${innerWidth}`);
  const clipped = (e) => e.closest('.scroll, .frame, .defs, li, .name') !== null;
  for (const e of all('body *')) if (seen(e) && !clipped(e) && box(e).right > width + 1) { wrong.push(`${e.tagName}.${e.getAttribute('class')} ends at ${Math.round(box(e).right)} of ${width} px`); break; }
  // Numbers at an axis must not lie on each other.
  for (const axis of all('svg.xa, svg.ya, svg.bar')) {
    const labels = all('text:not(.label)', axis).filter(seen).map(box);
    for (let i = 1; i < labels.length; ++i) {
      const a = labels[i - 1], b = labels[i];
      const apart = a.right <= b.left + 0.5 || b.right <= a.left + 0.5 || a.bottom <= b.top + 4 || b.bottom <= a.top + 4;
      if (!apart) { wrong.push(`numbers of an axis overlap: ${all('text:not(.label)', axis).map((e) => e.textContent).join(' ')}`); break; }
    }
  }
  return {plots: plots.length, curves, points, pictures: pictures.length, maps: maps.length, wrong};
})()
