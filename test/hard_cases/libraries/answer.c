/* Loaded, unloaded and replaced by its twin, which differs in one constant. */
int answer(void) {
  return ANSWER;
}
