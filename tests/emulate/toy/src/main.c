int main(void) {
    return 1; /* the user's program: never part of an emulated one */
}
