// What every page does: the design system's menu for narrow screens.

if (globalThis.DKFDS) new globalThis.DKFDS.Navigation().init();
