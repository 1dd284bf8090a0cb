const plots = {{ plots | tojson }};
const templates = {{ templates | tojson }};
const dark = matchMedia("(prefers-color-scheme: dark)");
// Only what is near the window is drawn: a browser has few WebGL contexts.
const near = new Set();
function draw(box) {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--soft");
  const modebar = {bgcolor: "transparent", color: ink, activecolor: ink};
  const template = templates[dark.matches ? "dark" : "light"];
  const plot = plots[box.id.replace(/-plot$/, "")];
  Plotly.react(box, plot.data, {...plot.layout, template, modebar},
    {responsive: true, displaylogo: false});
}
const watch = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries)
    if (isIntersecting) { near.add(target); draw(target); }
    else if (near.delete(target)) Plotly.purge(target);
}, {rootMargin: "50%"});
document.querySelectorAll(".interactive").forEach(box => watch.observe(box));
dark.addEventListener("change", () => near.forEach(draw));
