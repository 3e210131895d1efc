/** Keeps the screen on while it is wanted, where the browser can do that (secure pages only). */
export function keepAwake(onChange: (held: boolean) => void): (wanted: boolean) => void {
  let wanted = false;
  let lock: WakeLockSentinel | undefined;

  const update = async (): Promise<void> => {
    // Not there in pages that are not secure.
    const { wakeLock } = navigator as { readonly wakeLock?: WakeLock };
    if (wakeLock === undefined) return;
    if (!wanted) {
      await lock?.release();
      lock = undefined;
    } else if (document.visibilityState === 'visible' && (lock?.released ?? true)) {
      lock = await wakeLock.request('screen');
      lock.addEventListener('release', () => onChange(false));
      onChange(true);
    }
  };
  // Battery saving may refuse it.
  const tryUpdate = (): void => void update().catch(() => onChange(false));
  // The browser lets go of it whenever the page is hidden.
  document.addEventListener('visibilitychange', tryUpdate);
  return (value) => {
    wanted = value;
    tryUpdate();
  };
}
