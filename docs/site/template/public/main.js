// A block without a language is a drawing or bytes: nothing guesses a language for it.
export default {
  configureHljs(hljs) {
    hljs.configure({ languages: [] });
  },
};
