// Brings the page to life: the theme, the table, and then the pictures one after another.

function startTheme() {
  const button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => apply(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % 3]));
  button.hidden = false;
  apply("system");
}

async function start() {
  startTheme();
  startTable();
  startPareto();
  startAxes();
  startPower();
  if (document.getElementById("roofline")) pictures.push(drawRoofline);
  if (document.getElementById("comparison")) pictures.push(drawComparison);
  for (const picture of pictures) {
    await picture();
    await new Promise((resolve) => setTimeout(resolve)); // the page stays responsive between two pictures
  }
  document.documentElement.dataset.drawn = pictures.length;
}

start();
