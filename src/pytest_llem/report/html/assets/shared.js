// What all scripts of the page share: the run's numbers, the pictures to draw, lists of choices.

const data = JSON.parse(document.getElementById("data").textContent);
const pictures = []; // functions that draw, in the order of the page

function fill(list, pairs) {
  list.replaceChildren(...pairs.map(([value, words]) => new Option(words, value)));
}
