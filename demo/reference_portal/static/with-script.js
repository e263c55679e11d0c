// Says before anything is drawn that scripts run, so that what they will close is not seen open first.
document.documentElement.classList.add("with-script");
