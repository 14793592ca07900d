// What every page has: light and dark, the section that is in sight, one word if it fails.

function frame(start) {
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  start().then(() => {
    const links = [...document.querySelectorAll(".bar nav a")];
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      if (entry.isIntersecting) links.forEach((link) => link.classList.toggle("here", link.hash === `#${entry.target.id}`));
    }), { rootMargin: "-20% 0px -70% 0px" });
    document.querySelectorAll("main section").forEach((section) => seen.observe(section));
    document.documentElement.dataset.ready = "yes";
  }).catch((fault) => {
    document.querySelector("main").prepend(el("p", { class: "mark", role: "alert" }, `This page cannot be drawn: ${fault.message}. It needs a browser of 2023 or later.`));
    throw fault;
  });
}
