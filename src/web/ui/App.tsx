// App.tsx: the page's rooms and where they stand.
import { FlamePanel } from "./FlamePanel";
import { Logo } from "./Logo";
import { ProcessList } from "./ProcessList";
import { RangeForm } from "./RangeForm";

export function App() {
  return (
    <div class="page">
      <header class="top">
        <Logo />
        <RangeForm />
      </header>
      <main class="rooms">
        <ProcessList />
        <FlamePanel />
      </main>
    </div>
  );
}
