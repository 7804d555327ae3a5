/**
 * FLIP: elements slide from where they were to where they are (First, Last, Invert, Play). Only `transform`
 * and `opacity` are animated, so the compositor can do it alone.
 */

const SLIDE = { duration: 480, easing: "cubic-bezier(.2, .8, .2, 1)" };
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether things may move at all. */
export function mayMove() {
  return !reduced.matches;
}

/** Where the elements are now, animations under way included. */
export function measure(elements) {
  return new Map(Array.from(elements, (element) => [element, element.getBoundingClientRect()]));
}

/** Plays every element from its place in `before` to its present one; who had none comes up from below. */
export function flip(elements, before) {
  const all = Array.from(elements);
  for (const element of all) for (const animation of slides(element)) animation.cancel();
  if (!mayMove()) return;
  const now = measure(all);
  for (const element of all) {
    const to = now.get(element);
    const from = before.get(element);
    if (!from) {
      start(element, [{ opacity: 0, transform: "translateY(24px)" }, { opacity: 1, transform: "none" }]);
      continue;
    }
    const x = from.left + from.width / 2 - to.left - to.width / 2;
    const y = from.top - to.top;
    if (Math.abs(x) < 1 && Math.abs(y) < 1) continue;
    const animation = start(element, [{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }]);
    element.classList.toggle("rising", y > 0);
    animation.onfinish = () => element.classList.remove("rising");
  }
}

function start(element, frames) {
  return element.animate(frames, { ...SLIDE, id: "slide" });
}

function slides(element) {
  return element.getAnimations().filter((animation) => animation.id === "slide");
}
