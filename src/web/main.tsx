// main.tsx: takes the page's element, gives the page in it.
import { render } from "preact";
import { start } from "./state";
import { App } from "./ui/App";

const root = document.getElementById("app");
if (root) render(<App />, root);
start();
