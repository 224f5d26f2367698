// Logo.tsx: the name, and the way back to where everything is as it is by default.

export function Logo() {
  return (
    <a class="logo" href="./" aria-label="podflame, start page">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect class="logo-base" x="2" y="24" width="28" height="6" rx="1.5" />
        <rect class="logo-user" x="2" y="17" width="19" height="6" rx="1.5" />
        <rect class="logo-kernel" x="22" y="17" width="8" height="6" rx="1.5" />
        <rect class="logo-user" x="5" y="10" width="12" height="6" rx="1.5" />
        <rect class="logo-kernel" x="8" y="3" width="6" height="6" rx="1.5" />
      </svg>
      <span>podflame</span>
    </a>
  );
}
