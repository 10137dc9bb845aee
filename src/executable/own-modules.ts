// Names of modules that are no files of the user's: Config.module where Portico itself has the app.

/** The page that says that there is no app. */
export const welcomeModule = 'portico:welcome';
